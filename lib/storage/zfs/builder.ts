/**
 * Building datasets that appear whole: templates and layers.
 *
 * Each is filled as `<name>.tmp`, snapshotted, unmounted, made read-only, and renamed into place (layers
 * are made read-only a little later, see `layers.ts`): under its own name it is whole. Whoever builds it
 * holds its lock. A `.tmp` without a holder is what a killed process left; whoever wants it next, or
 * builds anything later, destroys it.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { existsSync } from "../../sys/exists.ts";
import {
  childOf,
  type DatasetName,
  lastComponent,
  parseDatasetName,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Properties, Zfs } from "../../zfs/zfs.ts";
import { folders } from "./dataset_names.ts";
import { isBusy } from "./holders.ts";
import { type KeyLock, lockKey, type LockOptions, tryLockWithoutRoom } from "./key_lock.ts";
import type { Layout } from "./layout.ts";
import { type Mounter, pathOf, type Place, removeMountPoint } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";
import { UnfinishedDataset } from "./unfinished_dataset.ts";

/** What datasets are built with. */
export interface BuilderOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
  /** Who builds: root, or the owner of the store. */
  readonly uid: number;
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

/** What could not be destroyed: see `#setAside`. */
const setAside = /\/(?:\.templates|\.layers)\/[0-9a-f]{64}(?:-[a-z]+)?\.[0-9a-f]{8}\.tmp$/;

/** How often unmounting is tried, and how long is waited in between, in milliseconds: five seconds. */
const busyTries = 26;
const busyPause = 200;

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
    return this.#options.layout.locks.names()
      .filter((name) => idPattern.test(name) && !name.startsWith(kinds.layer.lockPrefix));
  }

  /**
   * Build one; the caller has its lock, there is none, not even unfinished, and {@linkcode Builder.refuseForOthers}
   * was asked.
   *
   * @throws {ZfsError} reason `not-found` when what it is to be a clone of is gone, `exists` when it
   * was built by somebody else all the same; what `fill` throws. Nothing is left of it then
   */
  async build(request: BuildRequest): Promise<void> {
    if (request.receive !== undefined) return await this.#receive(request, request.receive);
    await using building = await this.begin(request);
    await building.fill(request.fill);
    await building.publish({ isReadonly: true });
  }

  /**
   * Begin one, empty or as a clone; the same holds as for {@linkcode Builder.build}.
   *
   * @returns what is to be filled and published
   * @throws {ZfsError} as that does
   */
  async begin(
    { kind, id, from, properties }: Omit<BuildRequest, "fill" | "receive">,
  ): Promise<UnfinishedDataset> {
    const { zfs, layout } = this.#options;
    const place = this.#unfinishedPlace(kind, id);
    layout.ensureFolder(kinds[kind].folder);
    const make = (): Promise<void> =>
      from === undefined
        ? zfs.create(place.dataset, { canmount: "noauto", ...properties })
        : zfs.clone(from, place.dataset, properties);
    try {
      await make();
    } catch (error) {
      if (!(error instanceof ZfsError && error.reason === "exists")) throw error;
      // Where a process is killed the program that it had started goes on for a moment.
      await this.#discard(place);
      await make();
    }
    return new UnfinishedDataset({
      ...this.#options,
      place,
      snapshot: snapshotOf(place.dataset, kinds[kind].snapshot),
      name: this.dataset(kind, id),
      unmount: () => this.#unmount(place),
      discard: () => this.#discard(place),
    });
  }

  async #receive(
    { kind, id, properties }: BuildRequest,
    receive: (snapshot: SnapshotName) => Promise<Properties>,
  ): Promise<void> {
    const { zfs, layout } = this.#options;
    const place = this.#unfinishedPlace(kind, id);
    layout.ensureFolder(kinds[kind].folder);
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => void await this.#discard(place));
    const more = await receive(snapshotOf(place.dataset, kinds[kind].snapshot));
    await zfs.set(place.dataset, { readonly: "on", ...properties, ...more });
    await zfs.rename(place.dataset, this.dataset(kind, id));
    undo.move();
  }

  /**
   * Refuse to build in another user's store, before anything is done for it. What root fills is root's, and
   * of no use to the owner of a store; who can move folders in it while root writes, besides, could have
   * root write elsewhere.
   *
   * @throws {EnrootError} code `not-owner`
   */
  refuseForOthers(): void {
    const { dataset, owner } = this.#store;
    if (this.#options.uid === owner) return;
    throw new EnrootError(
      "not-owner",
      `the image is not in ${dataset}, which belongs to uid ${owner}, and what root fills there would be ` +
        `of no use to that user: run this as uid ${owner}, or with a store of root's own`,
    );
  }

  /**
   * Destroy what is unfinished of an id; the caller has its lock.
   *
   * @returns whether it is gone; what went wrong is a warning, because whatever led here counts more
   */
  discard(kind: Kind, id: string): Promise<boolean> {
    return this.#discard(this.#unfinishedPlace(kind, id));
  }

  /**
   * Make the name of a finished one free: what is there has lost the snapshot that made it whole. The caller has
   * its lock.
   *
   * @throws {ZfsError}
   */
  clear(kind: Kind, id: string): Promise<void> {
    return this.#clear(this.dataset(kind, id));
  }

  /**
   * Destroy what killed processes left unfinished: their locks are there, and nobody holds them.
   *
   * @param datasets all there are, where that is known: some may have lost their locks
   */
  async tidy(datasets: readonly string[] = []): Promise<void> {
    const { locks } = this.#options.layout;
    const names = new Set(locks.names());
    for (const dataset of datasets) {
      for (const kind of ["template", "layer"] as const) {
        const id = this.#unfinishedId(kind, dataset);
        if (id !== undefined) names.add(this.lockName(kind, id));
      }
    }
    for (const name of names) {
      const [, prefix, id] = idPattern.exec(name) ?? [];
      if (id === undefined) continue;
      using lock = tryLockWithoutRoom(locks, name);
      if (lock === undefined) continue;
      if (!await this.discard(prefix === undefined ? "template" : "layer", id)) lock.leave();
    }
    for (const dataset of datasets) {
      const isOurs = dataset.startsWith(`${this.#store.dataset}/.`);
      if (isOurs && setAside.test(dataset)) await this.#tryDestroy(dataset as DatasetName);
    }
  }

  async #discard(place: Place): Promise<boolean> {
    const { warn } = this.#options;
    try {
      await this.#unmount(place);
      // Whoever was killed may not have come so far as to make the folder that it would be in.
      if (existsSync(pathOf(place))) removeMountPoint(place);
      await this.#destroy(place.dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "not-found") return true;
      warn(`cannot remove the unfinished ${place.dataset}: ${reasonOf(error)}`);
      return false;
    }
    return true;
  }

  /** An indexer may look into it for a moment, or what a killed process had started, an `unsquashfs`, be at work. */
  async #unmount(place: Place): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#options.mounter.unmount(place);
      } catch (error) {
        if (tries === busyTries || !isBusy(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, busyPause));
    }
  }

  /** Destroy what is unfinished, and first what is unfinished on top of it: see `layers.ts`. */
  async #destroy(dataset: DatasetName): Promise<void> {
    const { zfs } = this.#options;
    try {
      await zfs.destroy(dataset, { recursive: true });
    } catch (error) {
      if (!isKept(error)) throw error;
      const snapshot = snapshotOf(dataset, kinds.layer.snapshot);
      const [row] = await zfs.list([snapshot], { columns: ["clones"] });
      for (const name of (row?.clones ?? "").split(",").filter((each) => /^[^-]/.test(each))) {
        await this.#discardClone(name);
      }
      await this.#clear(dataset);
    }
  }

  async #clear(dataset: DatasetName): Promise<void> {
    try {
      await this.#options.zfs.destroy(dataset, { recursive: true });
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "not-found") return;
      if (!isKept(error)) throw error;
      await this.#setAside(dataset);
    }
  }

  /**
   * Destroy what was begun on a layer that nobody finishes any more: the next layer, or the template. What is
   * in place, or is neither, is not ours to take away.
   */
  async #discardClone(dataset: string): Promise<void> {
    const layer = this.#unfinishedId("layer", dataset);
    if (layer !== undefined) await this.discard("layer", layer);
    const template = this.#unfinishedId("template", dataset);
    if (template === undefined) return;
    // Where somebody has it, he makes it anew, and destroys this himself.
    using lock = tryLockWithoutRoom(this.#options.layout.locks, template);
    if (lock !== undefined && !await this.discard("template", template)) lock.leave();
  }

  /**
   * Take what nobody can finish out of the way: somebody has made a clone of it, with `zfs` or before he was
   * killed, or has it open in a mount namespace of his own. Where templates are for all users it may be any of
   * them, and nobody is to wait for him. A sweep destroys it once it can.
   */
  async #setAside(dataset: DatasetName): Promise<void> {
    const tag = crypto.randomUUID().slice(0, 8);
    const name = dataset.endsWith(unfinished) ? dataset.slice(0, -unfinished.length) : dataset;
    const aside = parseDatasetName(`${name}.${tag}${unfinished}`);
    await this.#options.zfs.rename(dataset, aside);
  }

  /** Destroy what was set aside, if nothing is a clone of it any more. */
  async #tryDestroy(dataset: DatasetName): Promise<void> {
    try {
      await this.#options.zfs.destroy(dataset, { recursive: true, tries: 1 });
    } catch (error) {
      if (isKept(error) || error instanceof ZfsError && error.reason === "not-found") return;
      this.#options.warn(`cannot remove ${dataset}: ${reasonOf(error)}`);
    }
  }

  /** The id of what has this dataset while it is built. */
  #unfinishedId(kind: Kind, dataset: string): string | undefined {
    const folder = `${this.#store.dataset}/${kinds[kind].folder}/`;
    const name = dataset.startsWith(folder) ? dataset.slice(folder.length) : "";
    const id = name.endsWith(unfinished) ? name.slice(0, -unfinished.length) : "";
    return /^[0-9a-f]/.test(id) && idPattern.test(id) ? id : undefined;
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

/** Whether a dataset cannot go because of what somebody else does with it. */
function isKept(error: unknown): boolean {
  return error instanceof ZfsError && /^(?:busy|held|has-clones)$/.test(error.reason);
}
