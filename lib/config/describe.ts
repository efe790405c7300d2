/**
 * The configuration for people, and for programs that take it as text.
 *
 * @module
 */

import type { Config } from "./config.ts";
import { type KeyName, keys } from "./keys.ts";
import { maskCredentials } from "./secrets.ts";

/** Every key with its value as text, in the order of the documentation; nothing secret is shown. */
export function describeConfig(config: Config): [key: string, value: string][] {
  const own = Object.entries(keys).map(([name, { property }]): [string, string] => {
    const value = config[property as (typeof keys)[KeyName]["property"]];
    return [name, textOf(value)];
  });
  const others = Object.entries(config.variables)
    .filter(([name]) => !Object.hasOwn(keys, name))
    .map(([name, value]): [string, string] => [name, maskCredentials(value)]);
  return [...own, ...others];
}

/** A value as it could stand in a file; what is not set is empty. */
export function textOf(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === Infinity) return "inf";
  return Array.isArray(value) ? value.join(" ") : String(value);
}
