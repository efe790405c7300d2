/**
 * The configuration for people.
 *
 * @module
 */

import type { Config } from "./config.ts";
import { type KeyName, keys } from "./keys.ts";

/** Every key with its value as text, in the order of the documentation; nothing secret is shown. */
export function describeConfig(config: Config): [key: string, value: string][] {
  const own = Object.entries(keys).map(([name, { property }]): [string, string] => {
    const value = config[property as (typeof keys)[KeyName]["property"]];
    return [name, show(value)];
  });
  const others = Object.entries(config.variables)
    .filter(([name]) => !(name in keys))
    .map(([name, value]): [string, string] => [name, value.replace(/:\/\/[^/@]*@/, "://***@")]);
  return [...own, ...others];
}

function show(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === Infinity) return "inf";
  return Array.isArray(value) ? value.join(" ") : String(value);
}
