/**
 * Standard output and standard error as commands use them.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { type Level, Terminal } from "./terminal.ts";

/** Tell why a command failed; with `ENROOT_DEBUG`, where. */
export function report(
  terminal: Terminal,
  error: unknown,
  environment: Readonly<Record<string, string>>,
): void {
  const known = error instanceof EnrootError;
  terminal.log("error", known ? error.message : `unexpected failure: ${reasonOf(error)}`);
  // What the environment says counts also before the configuration was read.
  const traces = /^(y|yes|Y|YES|true|TRUE|t|1)$/.test(environment["ENROOT_DEBUG"] ?? "");
  if (!traces && !terminal.traces) return;
  for (let each = error; each instanceof Error; each = each.cause) printError(`${each.stack}\n`);
}

/** Standard error, for messages and progress. */
export function openTerminal(environment: Readonly<Record<string, string>>): Terminal {
  const interactive = Deno.stderr.isTerminal();
  return new Terminal({
    write: printError,
    interactive,
    colour: interactive && !environment["NO_COLOR"] && environment["TERM"] !== "dumb",
    columns: () => {
      try {
        // A terminal that nobody gave a size says 0.
        return Deno.consoleSize().columns || 80;
      } catch {
        return 80;
      }
    },
    level: levelOf(environment["ENROOT_LOG_LEVEL"]),
  });
}

const levels: ReadonlyMap<string, Level> = new Map([
  ["debug", "debug"],
  ["info", "info"],
  ["warn", "warning"],
  ["warning", "warning"],
  ["error", "error"],
]);

/** The level that a word of the configuration means; `info` for any other. */
export function levelOf(word: string | undefined): Level {
  return levels.get(word?.toLowerCase() ?? "") ?? "info";
}

/** Write a result to standard output. */
export function printOut(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    // The reader has seen enough: end as a program does that SIGPIPE ends.
    Deno.exit(128 + 13);
  }
}

/** Messages are for people; that nobody can take them must not turn a success into a failure. */
export function printError(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // Nothing is left to report it to.
  }
}

function writeAll(stream: typeof Deno.stdout, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}
