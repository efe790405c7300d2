/**
 * The configuration: files and environment as one frozen object.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError, reasonOf } from "../errors.ts";
import { parseConfFile, type Setting } from "./conf_file.ts";
import { defaultsOf } from "./defaults.ts";
import { expandSettings } from "./expand.ts";
import { isAllowedKey, keys, type Values } from "./keys.ts";

/** Everything that can be configured. Frozen. */
export interface Config extends Values {
  /** The final text of every key that is set, those of other programs included. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The environment of the caller; it wins over the files. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What means "not set", as in enroot; a switch that is on by default is turned off by it. */
const offWords: readonly string[] = ["n", "no", "N", "NO", "false", "FALSE", "f"];

/**
 * Read the configuration: `enroot.conf` in the system's configuration folder, then
 * `enroot.conf.d/*.conf` by name, later settings over earlier ones, the environment over all.
 *
 * @throws {EnrootError} code `bad-config-value` or `bad-config-line`, naming key, value, file and line
 */
export async function loadConfig({ environment }: ConfigSources): Promise<Config> {
  const folder = environment["ENROOT_SYSCONF_PATH"] ?? "/etc/enroot";
  const settings = await expandSettings(readFiles(folder), environment);
  const set = new Map<string, Setting>();
  for (const setting of settings) set.set(setting.key, setting);
  for (const [key, value] of Object.entries(environment)) {
    if (isAllowedKey(key)) set.set(key, { key, value, place: "environment" });
  }
  const defaults = await defaultsOf(environment, set.get("ENROOT_TEMP_PATH")?.value);
  const values = Object.entries(keys).map(([name, { property, schema, fallback }]) => {
    const setting = set.get(name);
    const isOff = setting !== undefined && offWords.includes(setting.value);
    if (setting !== undefined && setting.value !== "" && !isOff) {
      return [property, parse(schema, setting)];
    }
    const value = fallback(defaults);
    return [property, isOff && typeof value === "boolean" ? false : value];
  });
  const variables = Object.fromEntries(
    [...set.values()].filter(({ value }) => value !== "" && !offWords.includes(value))
      .map(({ key, value }) => [key, value]),
  );
  return Object.freeze({ ...Object.fromEntries(values), variables: Object.freeze(variables) });
}

function parse(schema: z.ZodMiniType<unknown, string>, { key, value, place }: Setting): unknown {
  const parsed = z.safeParse(schema, value);
  if (parsed.success) return parsed.data;
  const wanted = parsed.error.issues[0]?.message ?? "another value";
  throw new EnrootError(
    "bad-config-value",
    `${key}='${value}' (${place}) is not valid: it must be ${wanted}`,
  );
}

function readFiles(folder: string): Setting[] {
  const files = [`${folder}/enroot.conf`, ...confFilesIn(`${folder}/enroot.conf.d`)];
  return files.flatMap((file) => {
    try {
      return parseConfFile(Deno.readTextFileSync(file), file);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      if (error instanceof EnrootError) throw error;
      throw new EnrootError("bad-config-line", `cannot read ${file}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  });
}

function confFilesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)]
      .map(({ name }) => name)
      .filter((name) => name.endsWith(".conf"))
      .sort()
      .map((name) => `${folder}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new EnrootError("bad-config-line", `cannot read ${folder}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
