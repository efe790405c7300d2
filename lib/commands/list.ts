/**
 * `enroot list`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { runningIn, type RunningProcess } from "../runtime/running.ts";
import type { Container } from "../storage/store.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { configOf, openStore } from "./store.ts";

const columns = [
  ...["NAME", "PID", "COMM", "STATE", "STARTED", "TIME", "MNTNS", "USERNS", "COMMAND"],
] as const;

/** Lists the containers, one name a line, or with what runs in them. */
export const command: Command = {
  usage: `list [-f|--fancy] [--json]

List the containers, one name a line.

  -f, --fancy  show what runs in them too, in columns
      --json   show all of it as JSON
`,
  async run(context) {
    const options = parseOptions(context.args, { flags: { fancy: "f", json: undefined } });
    if (options.operands.length > 0) {
      throw new UsageError(`'list' takes no names: '${options.operands[0]}'`);
    }
    const store = await openStore(context, await configOf(context));
    const containers = await store.containers();
    if (!options.flag("fancy") && !options.flag("json")) {
      context.print(containers.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    const running = runningIn(containers.map(({ path }) => path));
    context.print(options.flag("json") ? json(containers, running) : fancy(containers, running));
    return 0;
  },
};

function json(
  containers: readonly Container[],
  running: ReadonlyMap<string, readonly RunningProcess[]>,
): string {
  const list = containers.map(({ name, path }) => ({
    name,
    path,
    processes: (running.get(path) ?? []).map((process) => ({
      pid: process.pid,
      comm: process.comm,
      state: process.state,
      started: new Date(process.startedAt).toISOString(),
      mountNamespace: process.mountNamespace,
      userNamespace: process.userNamespace,
      command: process.commandLine,
    })),
  }));
  // JSON has these as they are, and a terminal may obey some of them.
  const text = JSON.stringify(list, null, 2).replaceAll(
    /[\x7f-\x9f]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
  return `${text}\n`;
}

/** A process names itself as it likes, but is not to speak to the terminal. As in ps(1). */
function shown(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

function fancy(
  containers: readonly Container[],
  running: ReadonlyMap<string, readonly RunningProcess[]>,
): string {
  const rows = containers.flatMap(({ name, path }) => {
    const processes = running.get(path) ?? [];
    return processes.length === 0 ? [[name]] : processes.map((process) => [
      name,
      String(process.pid),
      shown(process.comm).replaceAll(/\s/g, "_") || "_",
      process.state,
      clock(process.startedAt),
      elapsed(Date.now() - process.startedAt),
      process.mountNamespace,
      process.userNamespace,
      shown(process.commandLine),
    ]);
  });
  return table([[...columns], ...rows]);
}

/** Rows in columns two spaces apart; the last column is not padded. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((row) => [...row[column] ?? ""].length))
  );
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)
    );
    return `${cells.join("  ")}\n`;
  }).join("");
}

/** The time of day today, else the date, as ps(1) shows a start; local time. */
function clock(time: number): string {
  const date = new Date(time);
  const two = (number: number): string => String(number).padStart(2, "0");
  return date.toDateString() === new Date().toDateString()
    ? `${two(date.getHours())}:${two(date.getMinutes())}`
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A duration as `[DAYS-]HH:MM:SS`, without hours when there are none. */
function elapsed(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const days = Math.floor(seconds / 86_400);
  const shown = days === 0 && parts[0] === 0 ? parts.slice(1) : parts;
  const text = shown.map((part) => String(part).padStart(2, "0")).join(":");
  return days === 0 ? text : `${days}-${text}`;
}
