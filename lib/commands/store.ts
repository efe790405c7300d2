/**
 * The configuration and the store, as commands open them.
 *
 * @module
 */

import { type Config, loadConfig } from "../config/config.ts";
import { DirStore } from "../storage/dir/dir_store.ts";
import type { Store } from "../storage/store.ts";
import { ZfsStore } from "../storage/zfs/zfs_store.ts";
import type { Context } from "./command.ts";

/** The configuration of this call. @throws {EnrootError} naming the key, value and place at fault */
export function configOf(context: Context): Promise<Config> {
  return loadConfig({ environment: context.environment });
}

/**
 * The store that the configuration names.
 *
 * @throws {EnrootError} code `no-backend` when there is none of that name; on ZFS also `no-store` and
 * `not-owner`
 */
export async function openStore({ terminal }: Context, config: Config): Promise<Store> {
  const { storageBackend, dataPath } = config;
  const warn = (message: string): void => terminal.log("warning", message);
  switch (storageBackend) {
    case "dir": {
      return new DirStore(dataPath, { warn });
    }
    case "zfs": {
      const store = new ZfsStore(dataPath, {
        warn,
        layerChain: config.zfsLayerChain,
        warmSeconds: config.templateWarmSeconds,
        threshold: config.templatePressureThreshold,
      });
      await store.tidyEphemerals();
      return store;
    }
  }
}
