/**
 * The configuration and the store, as commands open them.
 *
 * @module
 */

import { type Config, loadConfig } from "../config/config.ts";
import { DirStore } from "../storage/dir/dir_store.ts";
import type { Store } from "../storage/store.ts";
import { pathOfDataset } from "../storage/zfs/store_dataset.ts";
import { ZfsStore, type ZfsStoreOptions } from "../storage/zfs/zfs_store.ts";
import type { Context } from "./command.ts";
import { levelOf } from "./console.ts";

/**
 * The configuration of this call; from now on its messages are as that says.
 *
 * @throws {EnrootError} naming the key, value and place at fault
 */
export async function configOf({ environment, terminal }: Context): Promise<Config> {
  const warnings: string[] = [];
  const config = await loadConfig({ environment, warn: (message) => warnings.push(message) });
  terminal.configure({ level: levelOf(config.logLevel), traces: config.debug });
  for (const message of warnings) terminal.log("warning", message);
  return config;
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
      const templateStore = Deno.uid() === 0 ? undefined : config.templateStore;
      const store = new ZfsStore(dataPath, { ...zfsOptions(config, warn), templateStore });
      await store.tidyEphemerals();
      return store;
    }
  }
}

/**
 * The store whose templates are filled beforehand and looked after: for root that of
 * `ENROOT_TEMPLATE_STORE`, where there is one, which is all users'; otherwise as {@linkcode openStore}.
 *
 * @throws {EnrootError} as that does
 */
export async function openTemplateStore(context: Context, config: Config): Promise<Store> {
  if (!fillsForAll(config)) return await openStore(context, config);
  const warn = (message: string): void => context.terminal.log("warning", message);
  const path = pathOfDataset(config.templateStore ?? "");
  return new ZfsStore(path, { ...zfsOptions(config, warn), isShared: true });
}

/** The configuration by which templates are filled there: those of all users keep no owners. */
export function templateConfig(config: Config): Config {
  return fillsForAll(config) ? { ...config, allowSuperuser: false } : config;
}

function fillsForAll({ storageBackend, templateStore }: Config): boolean {
  return storageBackend === "zfs" && templateStore !== undefined && Deno.uid() === 0;
}

function zfsOptions(config: Config, warn: (message: string) => void): ZfsStoreOptions {
  return {
    warn,
    layerChain: config.zfsLayerChain,
    warmSeconds: config.templateWarmSeconds,
    threshold: config.templatePressureThreshold,
  };
}
