/**
 * `~`, `HOME` and the XDG base directories in values of configuration files.
 *
 * @module
 */

import type { Setting } from "./conf_file.ts";
import { folderIn, folderVariables, standInFor } from "./defaults.ts";
import { isPathKey } from "./keys.ts";
import { variable } from "./variables.ts";

/** Settings that can be expanded, and the variables to expand them with. */
export interface Expandable {
  /** In their order. */
  readonly settings: readonly Setting[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Give the variables that name a user's folders their defaults, where a value uses one and it names none: an
 * `enroot.conf` may say `${XDG_DATA_HOME}/enroot`, and few environments hold that variable.
 *
 * They come to stand in the values, `${XDG_DATA_HOME:-/home/me/.local/share}`, so that a default that the
 * value has itself goes on counting. A `~` at the beginning of a path is `HOME`.
 */
export async function nameFolders(
  { settings: given, environment }: Expandable,
  uid: number,
): Promise<Expandable> {
  const settings = given.map((setting) =>
    setting.literal || !isPathKey(setting.key)
      ? setting
      : { ...setting, value: setting.value.replace(/^~(?=\/|$)/, "${HOME}") }
  );
  const missing = folderVariables.filter((name) =>
    settings.some(({ value, literal }) => !literal && value.includes(name)) &&
    folderIn(environment, name) === undefined
  );
  if (missing.length === 0) return { settings, environment };
  const tempPath = folderIn(environment, "ENROOT_TEMP_PATH");
  const runtimePath = folderIn(environment, "ENROOT_RUNTIME_PATH");
  const standIns = new Map<string, string>();
  for (const name of missing) {
    const folder = await standInFor(name, { environment, uid, tempPath, runtimePath });
    if (folder !== undefined) standIns.set(name, folder.replaceAll(/[\\$`"}]/g, "\\$&"));
  }
  // What names no folder must not be in the way of a default in the value.
  const unset = new Set<string>(missing);
  return {
    settings: settings.map((setting) =>
      setting.literal ? setting : { ...setting, value: withStandIns(setting.value, standIns) }
    ),
    environment: Object.fromEntries(
      Object.entries(environment).filter(([name]) => !unset.has(name)),
    ),
  };
}

function withStandIns(value: string, standIns: ReadonlyMap<string, string>): string {
  return value.replaceAll(
    variable,
    (all: string, braced: string | undefined, fallback: string | undefined, plain: string, at) => {
      const name = braced ?? plain;
      const folder = standIns.get(name);
      const isBare = folder !== undefined && fallback === undefined && value[at - 1] !== "\\";
      return isBare ? `\${${name}:-${folder}}` : all;
    },
  );
}
