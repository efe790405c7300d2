/**
 * The configuration: files and environment as one frozen object.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { parseConfFile, type Setting } from "./conf_file.ts";
import { defaultsOf } from "./defaults.ts";
import { textOf } from "./describe.ts";
import { expandSettings } from "./expand.ts";
import { isAllowedKey, type Key, keys, type Values } from "./keys.ts";
import { type Parser, Refusal } from "./values.ts";

/** Everything that can be configured. Frozen. */
export interface Config extends Values {
  /**
   * The text of every key that has a value, by set or by default, those of other programs included:
   * what hooks get. A switch that is off is not there.
   */
  readonly variables: Readonly<Record<string, string>>;
}

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The environment of the caller; it wins over the files. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whom defaults are for; by default the user of this process. */
  readonly uid?: number;
  /** Told of each line of a file that has no effect. */
  readonly warn?: (message: string) => void;
}

/** What means "not set", as in enroot; a switch that is on by default is turned off by it. */
const offWords: readonly string[] = ["n", "no", "N", "NO", "false", "FALSE", "f"];

/**
 * Read the configuration: `enroot.conf` in the system's configuration folder, then
 * `enroot.conf.d/*.conf` by name, later settings over earlier ones, the environment over all. A
 * variable of the environment that is empty sets nothing.
 *
 * @throws {EnrootError} code `bad-config-value` or `bad-config-line`, naming key, value, file and line
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const { environment, uid = Deno.uid() ?? 0, warn } = sources;
  const set = new Map<string, Setting>();
  for (const [key, value] of Object.entries(environment)) {
    if (value === "" || !isAllowedKey(key)) continue;
    set.set(key, { key, value, literal: true, place: "environment" });
  }
  // A file cannot say where it is itself to be found; what the environment sets, no file's code is for.
  const written = readFiles(sysconfPath(set), warn)
    .filter(({ key }) => !set.has(key) && key !== "ENROOT_SYSCONF_PATH");
  for (const setting of await expandSettings(written, environment, uid, warn)) {
    set.set(setting.key, setting);
  }
  if (meansDefaultRuntimePath(written, set)) set.delete("ENROOT_RUNTIME_PATH");
  const tempPath = valueOf(set, "ENROOT_TEMP_PATH").setting?.value;
  const runtimePath = valueOf(set, "ENROOT_RUNTIME_PATH").setting?.value;
  const defaults = await defaultsOf({ environment, uid, tempPath, runtimePath });

  const values: Record<string, unknown> = {};
  const variables: Record<string, string> = {};
  for (const [name, { property, parse: read, fallback }] of Object.entries<Key>(keys)) {
    const { setting, isOff } = valueOf(set, name);
    const value = setting === undefined ? fallback(defaults) : parse(read, setting);
    values[property] = isOff && typeof value === "boolean" ? false : value;
    const text = values[property] === false ? "" : setting?.value ?? textOf(values[property]);
    if (text !== "") variables[name] = text;
  }
  for (const name of set.keys()) {
    const { setting } = valueOf(set, name);
    if (setting !== undefined && !Object.hasOwn(keys, name)) variables[name] = setting.value;
  }
  // The table of keys makes both types: each property is there, and of its parser's type.
  return Object.freeze({ ...values, variables: Object.freeze(variables) }) as Config;
}

function sysconfPath(set: ReadonlyMap<string, Setting>): string {
  const { setting } = valueOf(set, "ENROOT_SYSCONF_PATH");
  return setting === undefined ? "/etc/enroot" : parse(keys.ENROOT_SYSCONF_PATH.parse, setting);
}

/**
 * Whether the files say `${XDG_RUNTIME_DIR}/enroot`, as the files of enroot do, and there is no such folder:
 * then what `/run` stands in for is the whole default, which knows where this user can write.
 */
function meansDefaultRuntimePath(
  written: readonly Setting[],
  set: ReadonlyMap<string, Setting>,
): boolean {
  const last = written.findLast(({ key }) => key === "ENROOT_RUNTIME_PATH");
  return last !== undefined && last.value.includes("XDG_RUNTIME_DIR") &&
    set.get(last.key)?.value === "/run/enroot";
}

/** What a key is set to, when it is, and not to a word for off. */
function valueOf(
  set: ReadonlyMap<string, Setting>,
  key: string,
): { setting?: Setting; isOff: boolean } {
  const setting = set.get(key);
  if (setting === undefined || setting.value === "") return { isOff: false };
  if (offWords.includes(setting.value)) return { isOff: true };
  return { setting, isOff: false };
}

function parse<T>(read: Parser<T>, { key, value, place }: Setting): T {
  const parsed = read(value);
  if (!(parsed instanceof Refusal)) return parsed;
  throw new EnrootError(
    "bad-config-value",
    `${key}='${value}' (${place}) is not valid: it must be ${parsed.wanted}`,
  );
}

function readFiles(folder: string, warn?: (message: string) => void): Setting[] {
  const files = [`${folder}/enroot.conf`, ...confFilesIn(`${folder}/enroot.conf.d`)];
  return files.flatMap((file) => {
    try {
      return parseConfFile(Deno.readTextFileSync(file), file, warn);
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
