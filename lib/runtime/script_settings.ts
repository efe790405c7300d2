/**
 * What a configuration script configures.
 *
 * @module
 */

import { parseConfFile, type Setting } from "../config/conf_file.ts";
import { expandSettings } from "../config/expand.ts";
import type { TextFile } from "./plan.ts";

/**
 * The `#ENROOT_KEY=VALUE` lines of a script: what it configures for its start.
 *
 * As in enroot there may be blanks behind the `#`, and `=`, blanks or both behind the key.
 *
 * @param environment for `${VAR}` in the values
 * @returns variables that take the place of the environment's
 * @throws {EnrootError} code `bad-config-value` or `bad-config-line`, naming file and line
 */
export async function settingsOf(
  { path, text }: TextFile,
  environment: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const lines = text.split("\n")
    .map((line) => /^#\s*ENROOT_[A-Z_]+(?:[\s=]|$)/.test(line) ? line.slice(1) : "");
  const settings: Setting[] = parseConfFile(lines.join("\n"), path);
  const expanded = await expandSettings(settings, environment, Deno.uid() ?? 0);
  return Object.fromEntries(expanded.map(({ key, value }) => [key, value]));
}
