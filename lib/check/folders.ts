/**
 * The folders of the configuration: whether this user can write to them.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { reasonOf } from "../errors.ts";
import { existsSync } from "../sys/exists.ts";
import { fail, type Finding, ok } from "./finding.ts";

/** Look at each folder; those that a command would make are not made. */
export function checkFolders(
  config: Pick<Config, "dataPath" | "cachePath" | "tempPath" | "runtimePath">,
): Finding[] {
  return [
    checkFolder("data folder", "ENROOT_DATA_PATH", config.dataPath),
    checkFolder("cache folder", "ENROOT_CACHE_PATH", config.cachePath),
    checkFolder("temporary folder", "ENROOT_TEMP_PATH", config.tempPath),
    checkRuntimeFolder(config.runtimePath),
  ];
}

function checkFolder(name: string, key: string, path: string): Finding {
  const folder = nearest(path);
  try {
    // Permissions are not all: there are mounts that are read-only, and quotas.
    Deno.removeSync(Deno.makeTempFileSync({ dir: folder, prefix: ".enroot-check-" }));
  } catch (error) {
    const what = folder === path ? path : `${folder}, where ${path} would be made,`;
    return fail(
      name,
      `${what} cannot be written: ${reasonOf(error)}`,
      `make it writable, or set ${key} to a folder that is`,
    );
  }
  return ok(name, folder === path ? path : `${path}, which will be made in ${folder}`);
}

function checkRuntimeFolder(path: string): Finding {
  const found = checkFolder("runtime folder", "ENROOT_RUNTIME_PATH", path);
  if (found.status !== "ok" || !existsSync(path)) return found;
  const { uid, mode, isDirectory } = Deno.lstatSync(path);
  if (isDirectory && uid === Deno.uid() && ((mode ?? 0) & 0o002) === 0) return found;
  return fail(
    found.name,
    `${path} is not yours alone`,
    "set ENROOT_RUNTIME_PATH or XDG_RUNTIME_DIR to a folder of your own",
  );
}

/** The folder itself, or the nearest one above it that is there. */
function nearest(path: string): string {
  for (let folder = path;; folder = folder.slice(0, folder.lastIndexOf("/")) || "/") {
    try {
      if (existsSync(folder) || folder === "/") return folder;
    } catch {
      // It cannot be looked at: that is what writing to it is told, too.
      return folder;
    }
  }
}
