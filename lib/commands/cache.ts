/**
 * `enroot cache`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { showsTemplates } from "../storage/store.ts";
import { blobPart } from "./cache_blobs.ts";
import type { CacheItem, CachePart, VerifiedItem } from "./cache_part.ts";
import { templatePart } from "./cache_templates.ts";
import type { Command, Context } from "./command.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { configOf, openTemplateStore } from "./store.ts";
import { formatAge, formatBytes } from "./units.ts";

/** Shows, checks and empties what is kept of images. */
export const command: Command = {
  usage: `cache list|prune|verify [--all] [--dry-run] [--json]

Look after what is kept of images, so that it need not be fetched or made again.

  list    show what there is, with its size, when it was used last, and the images
          it belongs to; live: in use, warm: may be used again, cold: of no use
  prune   remove what is cold, and what goes beyond ENROOT_CACHE_MAX_SIZE; never
          what is in use
  verify  hash every blob and drop the damaged ones; exit code 1 when there were some

      --all      prune: remove what is warm, too
      --dry-run  prune, verify: only show what would be removed
      --json     as JSON
`,
  async run(context) {
    const options = parseOptions(context.args, {
      flags: { all: undefined, "dry-run": undefined, json: undefined },
    });
    const [action, ...more] = options.operands;
    if (action === undefined) throw new UsageError("'cache' needs list, prune or verify");
    if (more.length > 0) throw new UsageError(`'cache ${action}' takes no names: '${more[0]}'`);
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (run === undefined) throw new UsageError(`'cache' knows no '${action}'`);
    if (options.flag("all") && action !== "prune") throw new UsageError("--all is for 'prune'");
    if (options.flag("dry-run") && action === "list") {
      throw new UsageError("--dry-run is for 'prune' and 'verify'");
    }
    const config = await configOf(context);
    const store = await openTemplateStore(context, config);
    const parts = [
      ...(showsTemplates(store) ? [templatePart(store)] : []),
      blobPart(config),
    ];
    return await withTermination((signal) => run(context, parts, options, signal));
  },
};

type Action = (
  context: Context,
  parts: readonly CachePart[],
  options: ParsedOptions,
  signal: AbortSignal,
) => Promise<number>;

const actions: Readonly<Record<string, Action>> = { list, prune, verify };

async function list(
  { print, terminal }: Context,
  parts: readonly CachePart[],
  options: ParsedOptions,
): Promise<number> {
  const items = (await Promise.all(parts.map((part) => part.list()))).flat()
    .sort((a, b) => b.usedAt - a.usedAt);
  print(options.flag("json") ? json(items.map(plain)) : items.length === 0 ? "" : table(items));
  if (!options.flag("json")) terminal.log("info", summary(items));
  return 0;
}

async function prune(
  { print, terminal }: Context,
  parts: readonly CachePart[],
  options: ParsedOptions,
): Promise<number> {
  const isDryRun = options.flag("dry-run");
  const gone: CacheItem[] = [];
  for (const part of parts) gone.push(...await part.prune({ all: options.flag("all"), isDryRun }));
  print(options.flag("json") ? json(gone.map(plain)) : gone.length === 0 ? "" : table(gone));
  terminal.log("info", `${isDryRun ? "Would remove" : "Removed"} ${summary(gone)}`);
  return 0;
}

async function verify(
  { print, terminal }: Context,
  parts: readonly CachePart[],
  options: ParsedOptions,
  signal: AbortSignal,
): Promise<number> {
  const isDryRun = options.flag("dry-run");
  const checked: CacheItem[] = [];
  const damaged: VerifiedItem[] = [];
  for (const part of parts) {
    for await (const verified of part.verify?.({ isDryRun, signal }) ?? []) {
      checked.push(verified.item);
      if (verified.outcome === "good") continue;
      damaged.push(verified);
      const { item, outcome } = verified;
      terminal.log("warning", `${item.kind} ${item.id} is damaged: ${becameOf[outcome]}`);
    }
  }
  if (options.flag("json")) {
    const found = damaged.map(({ item, outcome }) => ({ ...plain(item), outcome }));
    print(json({ checked: checked.length, bytes: sizeOf(checked), damaged: found }));
  }
  terminal.log("info", `Checked ${summary(checked)}: ${damaged.length} damaged`);
  return damaged.length === 0 ? 0 : 1;
}

const becameOf: Readonly<Record<VerifiedItem["outcome"], string>> = {
  good: "",
  dropped: "it was dropped, and is fetched again when it is needed",
  damaged: "it was left as it is",
  kept: "it is in use, and was left as it is",
};

function plain({ usedAt, ...item }: CacheItem): Readonly<Record<string, unknown>> {
  const known = usedAt > 0;
  return {
    ...item,
    used: known ? new Date(usedAt).toISOString() : null,
    age: known ? ageOf(usedAt) : null,
  };
}

function table(items: readonly CacheItem[]): string {
  const rows = [["KIND", "ID", "SIZE", "USED", "STATE", "URI"]].concat(items.map((item) => [
    item.kind,
    item.id.slice(0, "sha256:".length + 12),
    formatBytes(item.size),
    item.usedAt > 0 ? formatAge(ageOf(item.usedAt)) : "-",
    item.state,
    shown(item.uris),
  ]));
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}\n`
  ).join("");
}

/** Other tools may have written the names, and a terminal is not to obey them. */
function shown([first = "", ...others]: readonly string[]): string {
  const text = first.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
  return others.length === 0 ? text : `${text} and ${others.length} more`;
}

/** Seconds since it was used. */
function ageOf(usedAt: number): number {
  return Math.max(0, Math.round((Date.now() - usedAt) / 1000));
}

function sizeOf(items: readonly CacheItem[]): number {
  return items.reduce((sum, { size }) => sum + size, 0);
}

function summary(items: readonly CacheItem[]): string {
  const kinds = new Map<string, number>();
  for (const { kind } of items) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const counts = [...kinds].map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`);
  return counts.length === 0 ? "nothing" : `${counts.join(", ")}: ${formatBytes(sizeOf(items))}`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
