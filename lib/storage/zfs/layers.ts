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
import type { SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { LayeredBuild } from "../store.ts";
import type { Builder } from "./builder.ts";
import type { LockOptions } from "./key_lock.ts";
import { type Layout, layoutProperty } from "./layout.ts";

/** What layers are made with. */
export interface LayersOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly builder: Builder;
}

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
   * @param use is given the snapshot of the top layer, none for an image without layers
   * @throws {EnrootError} code `layers-gone` when that happens over and over; what building throws
   */
  async use(
    build: LayeredBuild,
    options: LockOptions,
    use: (top: SnapshotName | undefined) => Promise<void>,
  ): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        await this.#buildMissing(build, options);
        const top = build.layers.length - 1;
        return await use(top < 0 ? undefined : this.#snapshot(build, top));
      } catch (error) {
        if (!(error instanceof ZfsError && error.reason === "not-found")) throw error;
        if (attempt < maxTries) continue;
        throw new EnrootError(
          "layers-gone",
          `layers of this image were removed while it was imported, ${attempt} times: try again ` +
            "when nothing else removes templates",
          { cause: error },
        );
      }
    }
  }

  async #buildMissing(build: LayeredBuild, options: LockOptions): Promise<void> {
    const first = await this.#firstMissing(build, options.signal);
    if (first < build.layers.length) build.begin(first);
    for (let index = first; index < build.layers.length; index++) {
      await this.#buildLayer(build, index, options);
    }
  }

  /** Where one is, all below it are: it is their clone. */
  async #firstMissing(build: LayeredBuild, signal: AbortSignal): Promise<number> {
    const { zfs, layout } = this.#options;
    const snapshots = build.layers.map((_, index) => this.#snapshot(build, index));
    const rows = await zfs.list([layout.layers, ...snapshots], { columns: [layoutProperty] });
    const wasOurs = await layout.ensure("layers", rows, signal);
    if (!wasOurs) return 0;
    const there = new Set<string>(rows.map(({ name }) => name));
    return snapshots.findLastIndex((snapshot) => there.has(snapshot)) + 1;
  }

  async #buildLayer(build: LayeredBuild, index: number, options: LockOptions): Promise<void> {
    const { builder, zfs } = this.#options;
    const id = this.#id(build, index);
    using _lock = await builder.lock("layer", id, options);
    const snapshot = this.#snapshot(build, index);
    const unfinished = builder.unfinished("layer", id);
    const rows = await zfs.list([snapshot, unfinished]);
    if (rows.some(({ name }) => name === snapshot)) return;
    if (rows.length > 0) await builder.discard("layer", id);
    const layer = build.layers[index];
    if (layer === undefined) throw new RangeError(`there is no layer ${index}`);
    await builder.build({
      kind: "layer",
      id,
      from: index === 0 ? undefined : this.#snapshot(build, index - 1),
      properties: {
        "enroot:chain-id": layer.chainId,
        "enroot:diff-id": layer.diffId,
        ...(layer.digest === undefined ? {} : { "enroot:layer-digest": layer.digest }),
      },
      fill: (root) => build.apply(index, root),
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
