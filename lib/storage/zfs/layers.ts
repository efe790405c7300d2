/**
 * Layers as datasets below `.layers`: each a clone of the one below it at `@done`, with one layer of an
 * image applied. Images that begin with the same layers share them, wherever they came from.
 *
 * A layer's name is its chain ID, which says what it holds and all that is below it. So the same layer
 * on another parent is another dataset, and a layer that is there needs neither fetching nor hashing.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { hexOf } from "../../oci/digest.ts";
import { type DatasetName, datasetOf, type SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { LayeredBuild } from "../store.ts";
import type { Builder } from "./builder.ts";
import type { KeyLock, LockOptions } from "./key_lock.ts";
import { type Layout, layoutProperty } from "./layout.ts";
import type { UnfinishedDataset } from "./unfinished_dataset.ts";

/** What layers are made with. */
export interface LayersOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly builder: Builder;
}

/** A layer in the making, and its lock. */
interface Begun {
  readonly layer: UnfinishedDataset;
  readonly lock: KeyLock;
}

/**
 * Makes something of the top layer of an image.
 *
 * @param top its snapshot, none for an image without layers; its name changes once `begun` is called
 * @param begun to be called when there is a clone of it
 * @returns of `begun`: settled when all layers are in place, which is to be waited for
 */
export type UseOfTop = (
  top: SnapshotName | undefined,
  begun: () => Promise<void>,
) => Promise<void>;

/** How often a chain is begun anew that was taken away underneath. */
const maxTries = 3;

/** The layers of a store. */
export class Layers {
  readonly #options: LayersOptions;

  constructor(options: LayersOptions) {
    this.#options = options;
  }

  /**
   * Make sure that all layers of an image are there, and use the top one.
   *
   * A layer that another process is building is waited for. Layers may go as long as nothing is a
   * clone of them: when that happens before `use` has made one, the missing ones are built again.
   *
   * @throws {EnrootError} code `layers-gone` when that happens over and over; what building throws
   */
  async use(build: LayeredBuild, options: LockOptions, use: UseOfTop): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#buildAndUse(build, options, use);
      } catch (error) {
        // Put in place behind our back is what a killed process had begun to rename.
        const isOvertaken = error instanceof ZfsError &&
          (error.reason === "not-found" || error.reason === "exists");
        if (!isOvertaken) throw error;
        if (attempt < maxTries) continue;
        throw new EnrootError(
          "layers-gone",
          `layers of this image were removed or made elsewhere while it was imported, ${attempt} times: ` +
            "try again when nothing else is at work in the store",
          { cause: error },
        );
      }
    }
  }

  /**
   * Build what is missing, and use the top. A layer is begun as soon as the one below has its snapshot;
   * unmounting that and putting it in place goes on meanwhile. Its lock is taken before, so that there
   * nobody else can have begun it.
   */
  async #buildAndUse(build: LayeredBuild, options: LockOptions, use: UseOfTop): Promise<void> {
    const { builder } = this.#options;
    const { first, writable } = await this.#firstMissing(build, options.signal);
    await using held = new AsyncDisposableStack();
    let hasBuilt = false;
    /** One that has its snapshot, and is not yet being put in place. */
    let below: Begun | undefined;
    try {
      for (let index = first; index < build.layers.length; index++) {
        const lock = held.use(await builder.lock("layer", this.#id(build, index), options));
        if (!hasBuilt && await this.#isThere(build, index)) {
          lock[Symbol.dispose]();
          continue;
        }
        const layer = held.use(await this.#begin(build, index, below?.layer));
        const publishing = publish(below);
        below = undefined;
        // What fails is thrown further down; nothing is undone as long as it is under way.
        const settled = publishing.catch(() => undefined);
        held.defer(() => settled);
        await layer.fill((root) => build.apply(index, root));
        await publishing;
        below = { layer, lock };
        hasBuilt = true;
        writable.push(builder.dataset("layer", this.#id(build, index)));
      }
    } catch (error) {
      // When the next cannot be begun, this one is whole all the same.
      await publish(below).catch(() => {});
      throw error;
    }
    const top = build.layers.length - 1;
    const snapshot = below?.layer.snapshot ?? (top < 0 ? undefined : this.#snapshot(build, top));
    let finishing: Promise<void> | undefined;
    const finish = (): Promise<void> => {
      finishing ??= this.#finish(below, writable);
      finishing.catch(() => {});
      return finishing;
    };
    // Nor is the last one lost when what is to stand on it cannot be begun.
    held.defer(() => finish().catch(() => {}));
    await use(snapshot, finish);
    await finish();
  }

  /** Put the last one in place, and make all read-only: what they hold for others is in their snapshots. */
  async #finish(last: Begun | undefined, writable: readonly DatasetName[]): Promise<void> {
    await publish(last);
    await this.#options.zfs.set(writable, { readonly: "on" });
  }

  /**
   * The first layer to build, which is begun to be fetched with all above it, and those that are there and
   * that a killed process has not made read-only. Where one is, all below it are: it is their clone.
   */
  async #firstMissing(
    build: LayeredBuild,
    signal: AbortSignal,
  ): Promise<{ readonly first: number; readonly writable: DatasetName[] }> {
    const { zfs, layout } = this.#options;
    const snapshots = build.layers.map((_, index) => this.#snapshot(build, index));
    const datasets = snapshots.map(datasetOf);
    const rows = await zfs.list([layout.layers, ...datasets, ...snapshots], {
      columns: [layoutProperty, "readonly"],
    });
    const there = new Map<string, string>(
      layout.isMarked("layers", rows) ? rows.map(({ name, readonly }) => [name, readonly]) : [],
    );
    const first = snapshots.findLastIndex((snapshot) => there.has(snapshot)) + 1;
    if (first < build.layers.length) build.begin(first);
    await layout.ensure("layers", rows, signal);
    return {
      first,
      writable: datasets.slice(0, first).filter((name) => there.get(name) === "off"),
    };
  }

  /** Whether a layer has been built meanwhile; what is unfinished of it is destroyed. */
  async #isThere(build: LayeredBuild, index: number): Promise<boolean> {
    const { builder, zfs } = this.#options;
    const id = this.#id(build, index);
    const snapshot = this.#snapshot(build, index);
    const [inPlace, unfinished] = [builder.dataset("layer", id), builder.unfinished("layer", id)];
    const there = new Set(
      (await zfs.list([snapshot, inPlace, unfinished])).map(({ name }) => name),
    );
    if (there.has(snapshot)) return true;
    // Half destroyed.
    if (there.has(inPlace)) await builder.clear("layer", id);
    if (!there.has(unfinished)) return false;
    await builder.discard("layer", id);
    // What a killed process had begun to rename may have got there before.
    return (await zfs.list([snapshot])).length > 0;
  }

  async #begin(
    build: LayeredBuild,
    index: number,
    below?: UnfinishedDataset,
  ): Promise<UnfinishedDataset> {
    const layer = build.layers[index];
    if (layer === undefined) throw new RangeError(`there is no layer ${index}`);
    const inPlace = index === 0 ? undefined : this.#snapshot(build, index - 1);
    return await this.#options.builder.begin({
      kind: "layer",
      id: this.#id(build, index),
      from: below?.snapshot ?? inPlace,
      properties: {
        "enroot:chain-id": layer.chainId,
        "enroot:diff-id": layer.diffId,
        ...(layer.digest === undefined ? {} : { "enroot:layer-digest": layer.digest }),
      },
    });
  }

  #snapshot(build: LayeredBuild, index: number): SnapshotName {
    return this.#options.builder.snapshot("layer", this.#id(build, index));
  }

  #id({ layers, variant }: LayeredBuild, index: number): string {
    const layer = layers[index];
    if (layer === undefined) throw new RangeError(`there is no layer ${index}`);
    return `${hexOf(layer.chainId)}${variant === undefined ? "" : `-${variant}`}`;
  }
}

/** Put a layer in place and let go of it. */
async function publish(begun: Begun | undefined): Promise<void> {
  await begun?.layer.publish({ isReadonly: false });
  begun?.lock[Symbol.dispose]();
}
