/**
 * The configuration and the store, as commands open them.
 *
 * @module
 */

import { type Config, loadConfig } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { DirStore } from "../storage/dir/dir_store.ts";
import type { Store } from "../storage/store.ts";
import type { Context } from "./command.ts";

/** The configuration of this call. @throws {EnrootError} naming the key, value and place at fault */
export function configOf(context: Context): Promise<Config> {
  return loadConfig({ environment: context.environment });
}

/** The store that the configuration names. @throws {EnrootError} code `no-backend` */
export function openStore(config: Config): Store {
  if (config.storageBackend === "dir") return new DirStore(config.dataPath);
  throw new EnrootError(
    "no-backend",
    `ENROOT_STORAGE_BACKEND=${config.storageBackend}: this version stores containers on the dir ` +
      "backend only",
  );
}
