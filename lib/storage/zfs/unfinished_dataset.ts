/**
 * A dataset in the making.
 *
 * @module
 */

import type { DatasetName, SnapshotName } from "../../zfs/dataset.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import { makeMountPoint, type Mounter, pathOf, type Place, removeMountPoint } from "./mounter.ts";

/** What it is, and what it is made with. */
export interface UnfinishedDatasetOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  /** What there is of it so far: a dataset that is not mounted. */
  readonly place: Place;
  /** The snapshot that will make it whole. */
  readonly snapshot: SnapshotName;
  /** What it will be called when it is in place. */
  readonly name: DatasetName;
  /** Unmounts it, waiting a while for whoever looks into it. */
  unmount(): Promise<void>;
  /** Destroys it; never throws. */
  discard(): Promise<unknown>;
}

/**
 * A dataset in the making: filled, then published. The steps are apart so that the next layer can be begun
 * on top of one that is filled, while that is being published. Disposing of it destroys it, unless
 * it is in place.
 */
export class UnfinishedDataset implements AsyncDisposable {
  readonly #options: UnfinishedDatasetOptions;
  #isPublished = false;

  /** @param options the dataset, which is this one's from now on */
  constructor(options: UnfinishedDatasetOptions) {
    this.#options = options;
  }

  /** The snapshot, under the name that it has until it is published. There once it is filled. */
  get snapshot(): SnapshotName {
    return this.#options.snapshot;
  }

  /**
   * Mount and fill it, and make its snapshot. It stays mounted: unmounting would wait for all that was
   * written to reach the disks, as the snapshot does, and nothing needs it now.
   *
   * @throws {EnrootError} what mounting and `fill` throw, {@linkcode ZfsError}
   */
  async fill(fill: (root: string) => Promise<void>): Promise<void> {
    const { zfs, mounter, place, snapshot } = this.#options;
    makeMountPoint(place);
    await mounter.mount(place);
    await fill(pathOf(place));
    await zfs.snapshot(snapshot);
  }

  /**
   * Put it in place, unmounted, and read-only or not yet. What is a clone of its snapshot stays one.
   *
   * @throws {ZfsError} reason `exists` when it was built by somebody else; what unmounting throws
   */
  async publish({ isReadonly }: { readonly isReadonly: boolean }): Promise<void> {
    const { zfs, place, name } = this.#options;
    await this.#options.unmount();
    removeMountPoint(place);
    if (isReadonly) await zfs.set(place.dataset, { readonly: "on" });
    await zfs.rename(place.dataset, name);
    this.#isPublished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isPublished) await this.#options.discard();
  }
}
