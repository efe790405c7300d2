/**
 * Building datasets that appear whole: templates and layers.
 *
 * Each is filled as `<name>.tmp`, unmounted, made read-only, snapshotted, and renamed into place: under
 * its own name it is whole. Whoever builds it holds its lock. A `.tmp` without a holder is what a
 * killed process left; whoever wants it next, or builds anything later, destroys it.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import {
  childOf,
  type DatasetName,
  lastComponent,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Properties, Zfs } from "../../zfs/zfs.ts";
import { folders } from "./dataset_names.ts";
import { type KeyLock, lockKey, type LockOptions, tryLockKey } from "./key_lock.ts";
import type { Layout } from "./layout.ts";
import { makeMountPoint, type Mounter, pathOf, type Place, removeMountPoint } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** What datasets are built with. */
export interface BuilderOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

/** What kinds there are: the folder they are in, the snapshot that makes them whole, their locks. */
const kinds = {
  template: { folder: folders.templates, snapshot: "pristine", lockPrefix: "" },
  layer: { folder: folders.layers, snapshot: "done", lockPrefix: "l-" },
} as const;

/** What is built. */
export type Kind = keyof typeof kinds;

/** A dataset to build, and how. */
export interface BuildRequest {
  readonly kind: Kind;
  /** 64 hex digits, maybe with a suffix of letters. */
  readonly id: string;
  /** What it begins as a clone of; absent: empty. */
  readonly from?: SnapshotName | undefined;
  /** User properties. */
  readonly properties: Properties;
  /** Fills it, where it is mounted. */
  fill(root: string): Promise<void>;
  /** In place of `fill`: makes the dataset with this snapshot. @returns more user properties */
  readonly receive?: ((snapshot: SnapshotName) => Promise<Properties>) | undefined;
}

const unfinished = ".tmp";
const idPattern = /^(l-)?([0-9a-f]{64}(?:-[a-z]+)?)$/;

/** Builds datasets of a store. */
export class Builder {
  readonly #store: StoreLocation;
  readonly #options: BuilderOptions;

  constructor(store: StoreLocation, options: BuilderOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The dataset of an id, whether it is there or not. */
  dataset(kind: Kind, id: string): DatasetName {
    return childOf(childOf(this.#store.dataset, kinds[kind].folder), id);
  }

  /** The snapshot that says that it is whole. */
  snapshot(kind: Kind, id: string): SnapshotName {
    return snapshotOf(this.dataset(kind, id), kinds[kind].snapshot);
  }

  /** The dataset that it is while it is built. */
  unfinished(kind: Kind, id: string): DatasetName {
    return this.#unfinishedPlace(kind, id).dataset;
  }

  /** Take the lock of an id, waiting for its holder; see {@linkcode lockKey}. */
  lock(kind: Kind, id: string, options: LockOptions): Promise<KeyLock> {
    return lockKey(this.#options.layout.locks, this.lockName(kind, id), options);
  }

  /** The name of the lock of an id. */
  lockName(kind: Kind, id: string): string {
    return `${kinds[kind].lockPrefix}${id}`;
  }

  /** The names of the locks of templates that are, or were, being built. */
  lockedTemplates(): string[] {
    return [...Deno.readDirSync(this.#options.layout.locks)]
      .map(({ name }) => name)
      .filter((name) => idPattern.test(name) && !name.startsWith(kinds.layer.lockPrefix));
  }

  /**
   * Build one; the caller has its lock, and there is none, not even unfinished.
   *
   * @throws {ZfsError} reason `not-found` when what it is to be a clone of is gone, `exists` when it
   * was built by somebody else all the same; what `fill` throws. Nothing is left of it then
   */
  async build(request: BuildRequest): Promise<void> {
    const { kind, id, from, properties, fill, receive } = request;
    const { zfs, mounter, layout } = this.#options;
    const place = this.#unfinishedPlace(kind, id);
    layout.ensureFolder(kinds[kind].folder);
    await using undo = new AsyncDisposableStack();
    if (receive !== undefined) {
      undo.defer(async () => void await this.#discard(place));
      const more = await receive(snapshotOf(place.dataset, kinds[kind].snapshot));
      await zfs.set(place.dataset, { readonly: "on", ...properties, ...more });
      await zfs.rename(place.dataset, this.dataset(kind, id));
      undo.move();
      return;
    }
    if (from === undefined) await zfs.create(place.dataset, { canmount: "noauto", ...properties });
    else await zfs.clone(from, place.dataset, properties);
    undo.defer(async () => void await this.#discard(place));
    makeMountPoint(place);
    await mounter.mount(place);
    await fill(pathOf(place));
    await mounter.unmount(place);
    removeMountPoint(place);
    await zfs.set(place.dataset, { readonly: "on" });
    await zfs.snapshot(snapshotOf(place.dataset, kinds[kind].snapshot));
    await zfs.rename(place.dataset, this.dataset(kind, id));
    undo.move();
  }

  /**
   * Destroy what is unfinished of an id; the caller has its lock.
   *
   * @returns whether it is gone; what went wrong is a warning, because whatever led here counts more
   */
  discard(kind: Kind, id: string): Promise<boolean> {
    return this.#discard(this.#unfinishedPlace(kind, id));
  }

  /** Destroy what killed processes left unfinished: their locks are there, and nobody holds them. */
  async tidy(): Promise<void> {
    const { locks } = this.#options.layout;
    for (const { name } of Deno.readDirSync(locks)) {
      const [, prefix, id] = idPattern.exec(name) ?? [];
      if (id === undefined) continue;
      using lock = tryLockKey(locks, name);
      if (lock === undefined) continue;
      if (!await this.discard(prefix === undefined ? "template" : "layer", id)) lock.leave();
    }
  }

  async #discard(place: Place): Promise<boolean> {
    const { zfs, mounter, warn } = this.#options;
    try {
      await mounter.unmount(place);
      await zfs.destroy(place.dataset, { recursive: true });
      removeMountPoint(place);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "not-found") return true;
      warn(`cannot remove the unfinished ${place.dataset}: ${reasonOf(error)}`);
      return false;
    }
    return true;
  }

  #unfinishedPlace(kind: Kind, id: string): Place {
    const dataset = this.dataset(kind, `${id}${unfinished}`);
    return {
      dataset,
      store: this.#store.path,
      below: `${kinds[kind].folder}/${lastComponent(dataset)}`,
    };
  }
}
