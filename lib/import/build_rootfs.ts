/**
 * From an image to a root filesystem: the layers in order, then the generated files.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { LayerLimits, LayerSummary, Ownership } from "../pool/protocol.ts";
import type { WorkerPool } from "../pool/pool.ts";
import type { Image, Layer, LayerFile } from "../source/image.ts";
import { Rootfs } from "../sys/rootfs.ts";
import { rootfsFiles } from "./rootfs_files.ts";
import { writeRootfsFiles } from "./write_rootfs_files.ts";

/** How far an import is; counts are in stored bytes of the layers that are worked on. */
export interface ImportProgress {
  /** So many bytes were fetched, of so many as are known to be needed. */
  onFetch(done: number, total: number): void;
  /** So many bytes were applied. */
  onApply(done: number, total: number): void;
}

/** How a root filesystem is built. */
export interface BuildOptions {
  readonly pool: WorkerPool;
  readonly ownership: Ownership;
  readonly limits: LayerLimits;
  /** Noted in `/etc/rc`; absent where templates are shared by several URIs. */
  readonly provenance?: string;
  readonly signal: AbortSignal;
  readonly progress: ImportProgress;
}

/** What was built. */
export interface BuildSummary {
  readonly entries: number;
  readonly tarSize: number;
  readonly skippedDevices: number;
  readonly skippedXattrs: number;
}

/**
 * Build an image's root filesystem in a folder.
 *
 * All layers are fetched at once, as far as the source allows; each is applied as soon as it is there
 * and those below it are applied. On failure the folder holds a part of the image and must not be
 * used; nothing is fetched or applied any more when the promise is settled.
 *
 * @param root an empty folder of the caller's own, absolute
 * @throws {EnrootError} when a layer cannot be had, is not what its digests say or cannot be applied
 */
export async function buildRootfs(
  image: Image,
  root: string,
  options: BuildOptions,
): Promise<BuildSummary> {
  const { pool, ownership, limits, progress } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const fetched = new Meter(image.layers, (done, total) => progress.onFetch(done, total));
  const applied = new Meter(image.layers, (done, total) => progress.onApply(done, total));

  const files = image.layers.map((layer) => ({
    layer,
    file: layer.open({ signal, onProgress: (bytes) => fetched.add(bytes) }),
  }));
  const settled = Promise.allSettled(files.map(({ file }) => file));
  try {
    // A folder's time is that of its last change; the root's is the image's, if no layer says other.
    await Deno.utime(root, 0, 0);
    const summaries: LayerSummary[] = [];
    for (const [index, { layer, file }] of files.entries()) {
      const name = `layer ${index + 1} of ${files.length} (${layer.digest ?? layer.diffId})`;
      summaries.push(await apply(name, layer, await file));
    }
    makeWorkingFolder(root, image.config.workingDir);
    writeRootfsFiles(root, rootfsFiles(image.config, options.provenance), createdAt(image));
    return total(summaries);
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    await settled;
  }

  async function apply(name: string, layer: Layer, file: LayerFile): Promise<LayerSummary> {
    try {
      return await pool.applyLayer(
        {
          kind: "apply-layer",
          root,
          name,
          file,
          compression: layer.compression,
          ...(layer.digest === undefined ? {} : { digest: layer.digest }),
          diffId: layer.diffId,
          ownership,
          limits,
        },
        { signal, onProgress: (bytes) => applied.add(bytes) },
      );
    } catch (error) {
      // Damaged bytes in the cache would fail every import to come.
      if (error instanceof EnrootError && error.code === "digest-mismatch") await layer.discard?.();
      throw error;
    }
  }
}

/** When the image was made, in seconds since the epoch; 0 when it does not say. */
export function createdAt(image: Image): number {
  const time = Date.parse(image.config.created ?? "");
  return Number.isFinite(time) && time > 0 ? Math.floor(time / 1000) : 0;
}

/** `/etc/rc` cannot make it in a root filesystem that is read-only, as it is by default. */
function makeWorkingFolder(root: string, path: string): void {
  if (path === "") return;
  using rootfs = new Rootfs(root);
  rootfs.create(path, "dir");
}

function total(summaries: readonly LayerSummary[]): BuildSummary {
  const sum = (of: (summary: LayerSummary) => number): number =>
    summaries.reduce((result, summary) => result + of(summary), 0);
  return {
    entries: sum(({ entries }) => entries),
    tarSize: sum(({ tarSize }) => tarSize),
    skippedDevices: sum(({ skippedDevices }) => skippedDevices),
    skippedXattrs: sum(({ skippedXattrs }) => skippedXattrs),
  };
}

/** Adds up bytes against the sum of the layers' sizes. */
class Meter {
  #done = 0;
  readonly #total: number;
  readonly #report: (done: number, total: number) => void;

  constructor(layers: readonly Layer[], report: (done: number, total: number) => void) {
    this.#total = layers.reduce((sum, { size }) => sum + (size ?? 0), 0);
    this.#report = report;
  }

  add(bytes: number): void {
    this.#done += bytes;
    this.#report(this.#done, this.#total);
  }
}
