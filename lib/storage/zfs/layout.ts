/**
 * The store's own datasets and folders, and the mark that says by which rules they were filled.
 *
 * `.templates` and `.layers` carry `enroot:layout=2`. A store of another version has it without: what lies there
 * was made by other rules and may be wrong, so it is renamed aside, once, and never cloned from.
 *
 * They are never mounted: the mount points in them are folders of the store's own root, so a reboot
 * needs no mounts but the store's. `.locks` is a plain folder too. It also remembers, in the
 * file `layout`, that the mark was seen: a clone of a cached template asks ZFS nothing else.
 *
 * @module
 */

import { mounts } from "../../sys/mountinfo.ts";
import { childOf, type DatasetName, parseDatasetName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Row, Zfs } from "../../zfs/zfs.ts";
import { folders } from "./dataset_names.ts";
import { lockKey } from "./key_lock.ts";
import { StoreFolder } from "./store_folder.ts";
import type { Mounter, Place } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** The mark: a property and its value. */
export const layoutProperty = "enroot:layout";
export const layoutVersion = "2";

/** What a layout is made with. */
export interface LayoutOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly warn: (message: string) => void;
}

/** The store's inner folders. */
export class Layout {
  readonly #store: StoreLocation;
  readonly #locks: StoreFolder;
  readonly #options: LayoutOptions;

  constructor(store: StoreLocation, options: LayoutOptions) {
    this.#store = store;
    this.#locks = new StoreFolder(store.path, folders.locks, store.owner);
    this.#options = options;
  }

  /** The parent of all templates. */
  get templates(): DatasetName {
    return childOf(this.#store.dataset, folders.templates);
  }

  /** The parent of all layers. */
  get layers(): DatasetName {
    return childOf(this.#store.dataset, folders.layers);
  }

  /** The parent of throw-away clones. */
  get ephemeral(): DatasetName {
    return childOf(this.#store.dataset, folders.ephemeral);
  }

  /** The parent of what is being received. */
  get receiving(): DatasetName {
    return childOf(this.#store.dataset, folders.receiving);
  }

  /** Where a dataset belongs whose names are those of folders: all of ours but containers. */
  placeOf(dataset: DatasetName): Place {
    const { dataset: store, path } = this.#store;
    return { dataset, store: path, below: dataset.slice(store.length + 1) };
  }

  /** The folder of locks; made when it is missing. @throws {EnrootError} code `cannot-write` */
  get locks(): StoreFolder {
    this.#locks.ensure();
    return this.#locks;
  }

  /** The names of all locks and marks; where there are none, no folder is made. @throws {EnrootError} */
  lockNames(): string[] {
    return this.#locks.names();
  }

  /** Whether the mark was seen before, by any command: no process is started to tell. */
  isKnown(): boolean {
    return this.#locks.has("layout");
  }

  /**
   * Make sure that `.templates` or `.layers` is there with the mark.
   *
   * @param rows what `zfs list` says of it, with the property; without it, it is not there
   * @throws {ZfsError} when it cannot be made
   */
  async ensure(
    kind: "templates" | "layers",
    rows: readonly Row<typeof layoutProperty>[],
    signal: AbortSignal,
  ): Promise<void> {
    if (!this.isMarked(kind, rows)) {
      using _lock = await lockKey(this.locks, "layout.lock", { signal });
      const isAbsent = rows.every(({ name }) => name !== this[kind]);
      if (!isAbsent || !await this.#createMarked(this[kind])) await this.#adopt(kind);
    }
    if (kind === "templates" && !this.isKnown()) {
      this.locks.write("layout", `${layoutVersion}\n`);
    }
  }

  /** Whether `.templates` or `.layers` is there with the mark: if not, nothing in it is ours. */
  isMarked(kind: "templates" | "layers", rows: readonly Row<typeof layoutProperty>[]): boolean {
    return rows.find(({ name }) => name === this[kind])?.[layoutProperty] === layoutVersion;
  }

  /** Make sure that `.ephemeral` is there. @throws {ZfsError} when it cannot be made */
  async ensureEphemeral(): Promise<void> {
    await this.#create(this.ephemeral, {});
  }

  /** Make sure that `.receiving` is there, and its folder. @throws {ZfsError} when it cannot be made */
  async ensureReceiving(): Promise<void> {
    this.ensureFolder(folders.receiving);
    await this.#create(this.receiving, {});
  }

  /** @returns whether it was made now */
  async #create(dataset: DatasetName, properties: Record<string, string>): Promise<boolean> {
    try {
      await this.#options.zfs.create(dataset, { canmount: "off", ...properties });
      return true;
    } catch (error) {
      if (!(error instanceof ZfsError && error.reason === "exists")) throw error;
      return false;
    }
  }

  #createMarked(dataset: DatasetName): Promise<boolean> {
    return this.#create(dataset, { [layoutProperty]: layoutVersion });
  }

  /**
   * Take what is there, if it has no mark: an admin's empty one becomes ours, others' work is set aside.
   */
  async #adopt(kind: "templates" | "layers"): Promise<void> {
    const { zfs, warn } = this.#options;
    const [dataset, folder] = [this[kind], folders[kind]];
    if (this.isMarked(kind, await zfs.list([dataset], { columns: [layoutProperty] }))) return;
    await this.#unmountBelow(folder);
    const inside = await zfs.list([dataset], { depth: 1, types: ["filesystem"] });
    if (inside.length === 1) {
      await zfs.set(dataset, { canmount: "off", [layoutProperty]: layoutVersion });
      return;
    }
    const aside = await this.#unusedName(`${folder}-aside`);
    await zfs.rename(dataset, aside);
    await this.#createMarked(dataset);
    warn(
      `${dataset} was filled by another version of enroot and is not used: it is now ${aside} ` +
        "(destroy it when no container is a clone of what is in it)",
    );
  }

  /** Deepest first: another layout had them mounted. */
  async #unmountBelow(name: string): Promise<void> {
    const { path } = this.#store;
    const folder = `${path}/${name}`;
    const inside = mounts().filter(({ type, mountPoint }) =>
      type === "zfs" && (mountPoint === folder || mountPoint.startsWith(`${folder}/`))
    ).reverse();
    for (const { source, mountPoint } of inside) {
      const below = mountPoint.slice(path.length + 1);
      await this.#options.mounter.unmount({
        dataset: parseDatasetName(source),
        store: path,
        below,
      });
    }
  }

  async #unusedName(wanted: string): Promise<DatasetName> {
    for (let number = 1;; number++) {
      const name = childOf(this.#store.dataset, number === 1 ? wanted : `${wanted}-${number}`);
      if ((await this.#options.zfs.list([name])).length === 0) return name;
    }
  }

  /**
   * Make sure that a folder of the store is there, and is one.
   *
   * @throws {EnrootError} code `cannot-write`
   */
  ensureFolder(name: string): void {
    const { path, owner } = this.#store;
    new StoreFolder(path, name, owner).ensure();
  }
}
