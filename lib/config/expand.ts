/**
 * Expanding values of configuration files as bash does.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { CommandError, run } from "../process/run.ts";
import type { Setting } from "./conf_file.ts";

/** How long all commands in configuration files may take together, in milliseconds. */
const patience = 30_000;

// Each value is a text in double quotes, as in enroot; the files are the administrator's, and by the
// contract they are code. The status of an assignment is that of the last command in it, so a command
// that fails ends the script, and the count of values tells which one it was.
const script = String.raw`
while [ $# -gt 0 ]; do
    eval "value=\"$2\"" || exit
    export "$1=$value"
    printf '%s\0' "$value"
    shift 2
done`;

/**
 * Expand the values of settings in order: `${VAR}` and `$(command)`.
 *
 * A value may use variables of the environment and keys that were set before it. Plain variables are
 * expanded here; one bash expands everything else, and is started only when there is something else.
 *
 * @returns the settings without those of keys that the environment sets, which wins over files
 * @throws {EnrootError} code `bad-config-value`, naming key, value, file and line
 */
export async function expandSettings(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string>>,
): Promise<Setting[]> {
  const own = settings.filter(({ key }) => environment[key] === undefined);
  if (own.some(({ value }) => needsBash(value))) return await byBash(own, environment);
  const known = new Map(Object.entries(environment));
  return own.map((setting) => {
    const value = setting.value.replaceAll(
      variable,
      (_, braced?: string, plain?: string) => known.get(braced ?? plain ?? "") ?? "",
    );
    known.set(setting.key, value);
    return { ...setting, value };
  });
}

const variable = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/g;

function needsBash(value: string): boolean {
  return /[$`\\"]/.test(value.replaceAll(variable, ""));
}

async function byBash(
  settings: readonly Setting[],
  environment: Readonly<Record<string, string>>,
): Promise<Setting[]> {
  const values: string[] = [];
  let partial = "";
  try {
    await run(
      ["bash", "-c", script, "enroot", ...settings.flatMap(({ key, value }) => [key, value])],
      {
        environment,
        signal: AbortSignal.timeout(patience),
        onText(text) {
          const parts = (partial + text).split("\0");
          partial = parts.pop() ?? "";
          values.push(...parts);
        },
      },
    );
  } catch (error) {
    const { key, value, place } = settings[values.length] ?? { key: "", value: "", place: "" };
    const reason = error instanceof CommandError
      ? error.stderr.trim() || `the command ended with exit code ${error.exitCode}`
      : reasonOf(error);
    throw new EnrootError(
      "bad-config-value",
      `${place}: ${key}: '${value}' cannot be expanded: ${reasonOf(reason)}`,
      { cause: error },
    );
  }
  return settings.map((setting, index) => ({ ...setting, value: values[index] ?? "" }));
}
