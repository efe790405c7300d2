/**
 * Expanding values of configuration files as bash does.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { CommandError, run } from "../process/run.ts";
import type { Setting } from "./conf_file.ts";
import { type Expandable, nameFolders } from "./folder_variables.ts";
import { isPathKey } from "./keys.ts";
import { maskCredentials, shownValue } from "./secrets.ts";
import { bareVariables, variable } from "./variables.ts";

/** How long all commands in configuration files may take together, in seconds. */
const patience = 30;

// Each value is a text in double quotes; the files are the administrator's, and by the contract they
// are code. The status of an assignment is that of the last command in it, so a command that fails ends
// the script, and the count of values tells which one it was.
const script = String.raw`
while [ $# -gt 0 ]; do
    eval "value=\"$2\"" || exit
    export "$1=$value"
    printf '%s\0' "$value"
    shift 2
done`;

/**
 * Expand the values of settings in order: `${VAR}`, `${VAR:-default}` and `$(command)`.
 *
 * A value may use variables of the environment and keys that were set before it. Plain variables are
 * expanded here; one bash expands everything else, and is started only when there is something else.
 * A `~` before a path is the user's home, and `HOME` and the variables of the XDG base directories have their
 * defaults. A path with any other variable that is not set, or empty, and has no default is none: what is left
 * of it would be somebody else's, or everybody's.
 *
 * @param settings none of a key that the environment sets: it wins, so what the file says is not run
 * @param uid what `${UID}` is
 * @param warn told of each path that is none, which comes out empty then, as in enroot; absent: that is an error
 * @throws {EnrootError} code `bad-config-value`, naming key, value, file and line
 */
export async function expandSettings(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string>>,
  uid: number,
  warn?: (message: string) => void,
): Promise<Setting[]> {
  // Paths of the store are made of them, so no environment may say otherwise; bash would believe it.
  const variables = { ...environment, UID: `${uid}`, EUID: `${uid}` };
  const named = await nameFolders({ settings, environment: variables }, uid);
  const values = named.settings.some(needsBash)
    ? await byBash(named, settings)
    : withoutBash(named);
  const known = new Map(Object.entries(named.environment));
  return settings.map((setting, index) => {
    let value = values[index] ?? "";
    // What comes out empty sets nothing, so the default holds.
    const unset = value === "" ? undefined : holeIn(named.settings[index] ?? setting, known);
    if (unset !== undefined) {
      const why = whyNoPath(setting, unset);
      if (warn === undefined) throw new EnrootError("bad-config-value", why);
      warn(why);
      value = "";
    }
    known.set(setting.key, value);
    return { ...setting, value };
  });
}

/** The variable that leaves a hole in a path; `undefined` where there is none. */
function holeIn(
  { key, value, literal }: Setting,
  known: ReadonlyMap<string, string>,
): string | undefined {
  if (literal || !isPathKey(key)) return undefined;
  return bareVariables(value).find((name) => !known.get(name) && !ofBash.test(name));
}

function whyNoPath({ place, key, value }: Setting, unset: string): string {
  return `${place}: ${key}: '${shownValue(key, value)}' has no effect: ${unset} is not set, or ` +
    `empty: set it, or write \${${unset}:-VALUE} with what is to be there without it`;
}

function withoutBash({ settings, environment }: Expandable): string[] {
  const known = new Map(Object.entries(environment));
  return settings.map((setting) => {
    const { key, value, literal } = setting;
    const expanded = literal ? value : value.replaceAll(
      variable,
      (_, braced?: string, fallback?: string, plain?: string) =>
        known.get(braced ?? plain ?? "") || (fallback ?? ""),
    );
    // What is none must not come into others, by their defaults.
    known.set(key, holeIn(setting, known) === undefined ? expanded : "");
    return expanded;
  });
}

// Variables that bash sets by itself (bash(1), Shell Variables): the environment does not have them.
const ofBash = new RegExp(
  "^(?:_|(?:BASH|COMP|EPOCH|OPT|READLINE|SHELL)[A-Z_]*|COPROC|DIRSTACK|FUNCNAME|GROUPS|HISTCMD|" +
    "HOST(?:NAME|TYPE)|IFS|LINENO|MACHTYPE|MAPFILE|OLDPWD|OSTYPE|PATH|PIPESTATUS|PPID|PS4|PWD|" +
    "S?RANDOM|REPLY|SECONDS|SHLVL|TERM)$",
);

function needsBash({ value, literal }: Setting): boolean {
  if (literal) return false;
  const rest = value.replaceAll(
    variable,
    (all, braced?: string, _fallback?: string, plain?: string) =>
      ofBash.test(braced ?? plain ?? "") ? all : "",
  );
  return /[$`\\"]/.test(rest);
}

/** @param written the settings as the files have them, for messages */
async function byBash(
  { settings, environment }: Expandable,
  written: readonly Setting[],
): Promise<string[]> {
  const values: string[] = [];
  let partial = "";
  const pairs = settings.flatMap(({ key, value, literal }) => [
    key,
    literal ? value.replaceAll(/[$`\\"]/g, "\\$&") : value,
  ]);
  try {
    // -p: module systems of clusters set BASH_ENV, and what that prints would end up in the values.
    await run(["bash", "-p", "-c", script, "enroot", ...pairs], {
      environment,
      signal: AbortSignal.timeout(patience * 1000),
      onText(text) {
        const parts = (partial + text).split("\0");
        partial = parts.pop() ?? "";
        values.push(...parts);
      },
    });
  } catch (error) {
    const failed = written[values.length];
    if (failed === undefined) throw error;
    const { key, value, place } = failed;
    throw new EnrootError(
      "bad-config-value",
      `${place}: ${key}: '${shownValue(key, value)}' cannot be expanded: ${whyNot(error)}`,
      { cause: error },
    );
  }
  return values;
}

function whyNot(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `it took longer than ${patience} seconds`;
  }
  if (!(error instanceof CommandError)) return reasonOf(error);
  const said = error.stderr.trim();
  return said === ""
    ? `the command ended with exit code ${error.exitCode}`
    : maskCredentials(reasonOf(said));
}
