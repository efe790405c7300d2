/**
 * Environment files: `/etc/environment` of the image, `environ.d/*.env`, and `--env`.
 *
 * @module
 */

import { expandVariables } from "./variables.ts";

/**
 * Add the lines of an environment file: `NAME=VALUE`, one pair of quotes around the value taken off,
 * `${NAME}` replaced. Comments, ill-formed lines and `ENROOT_` variables are dropped.
 *
 * @param variables as for {@linkcode expandVariables}
 */
export function addEnvironmentFile(
  environment: Map<string, string>,
  text: string,
  variables: Readonly<Record<string, string>>,
): void {
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s*([A-Za-z_][A-Za-z0-9_.-]*)=([^\0]*?)\r?$/.exec(line) ?? [];
    if (name === undefined || value === undefined || name.startsWith("ENROOT_")) continue;
    const [, , quoted] = /^(["'])(.*)\1$/s.exec(value.trimEnd()) ?? [];
    environment.set(name, expandVariables(quoted ?? value, variables));
  }
}

/**
 * Add what `--env` says: `NAME=VALUE`, or `NAME` for the host's value, when it has one.
 *
 * @param host the caller's environment
 */
export function addEnvironmentOption(
  environment: Map<string, string>,
  option: string,
  host: Readonly<Record<string, string>>,
): void {
  const at = option.indexOf("=");
  const name = at < 0 ? option : option.slice(0, at);
  if (name === "" || name.startsWith("ENROOT_")) return;
  const fromHost = Object.hasOwn(host, name) ? host[name] : undefined;
  const value = at < 0 ? fromHost : option.slice(at + 1);
  if (value !== undefined) environment.set(name, value);
}

/**
 * An environment as the text of an environment file: reading that gives the same again.
 *
 * @returns the text, and what no line can say: values of several lines, and odd names
 */
export function environmentFileOf(
  environment: ReadonlyMap<string, string>,
): { readonly text: string; readonly rest: ReadonlyMap<string, string> } {
  const lines: string[] = [];
  const rest = new Map<string, string>();
  for (const [name, value] of environment) {
    if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name) && !/[\n\0]/.test(value)) {
      lines.push(`${name}=${quoted(value).replaceAll("${", "${ENROOT_DOLLAR}{")}\n`);
    } else rest.set(name, value);
  }
  return { text: lines.join(""), rest };
}

/** Quotes around what would lose some, or a carriage return, when it is read. */
function quoted(value: string): string {
  return /^(["']).*\1\s*$|\r$/s.test(value) ? `"${value}"` : value;
}
