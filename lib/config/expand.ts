/**
 * Expanding values of configuration files as bash does.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { CommandError, run } from "../process/run.ts";
import type { Setting } from "./conf_file.ts";
import { maskCredentials, shownValue } from "./secrets.ts";

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
 *
 * @param settings none of a key that the environment sets: it wins, so what the file says is not run
 * @param uid what `${UID}` is
 * @throws {EnrootError} code `bad-config-value`, naming key, value, file and line
 */
export async function expandSettings(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string>>,
  uid: number,
): Promise<Setting[]> {
  // Paths of the store are made of them, so no environment may say otherwise; bash would believe it.
  const variables = { ...environment, UID: `${uid}`, EUID: `${uid}` };
  if (settings.some(needsBash)) return await byBash(settings, variables);
  const known = new Map(Object.entries(variables));
  return settings.map((setting) => {
    const value = setting.literal ? setting.value : setting.value.replaceAll(
      variable,
      (_, braced?: string, fallback?: string, plain?: string) =>
        known.get(braced ?? plain ?? "") || (fallback ?? ""),
    );
    known.set(setting.key, value);
    return { ...setting, value };
  });
}

// The default that a variable may have is plain text here, in which bash would find nothing to do.
const variable =
  /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^$`\\"'{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))/g;

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

async function byBash(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string>>,
): Promise<Setting[]> {
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
    const failed = settings[values.length];
    if (failed === undefined) throw error;
    const { key, value, place } = failed;
    throw new EnrootError(
      "bad-config-value",
      `${place}: ${key}: '${shownValue(key, value)}' cannot be expanded: ${whyNot(error)}`,
      { cause: error },
    );
  }
  return settings.map((setting, index) => ({ ...setting, value: values[index] ?? "" }));
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
