/**
 * From an image to a root filesystem: the layers in order, then the generated files.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import type { ImageConfig } from "../oci/image_config.ts";
import type { LayerLimits, LayerSummary, Ownership } from "../pool/protocol.ts";
import type { WorkerPool } from "../pool/pool.ts";
import type { Image, Layer, OpenedLayer } from "../source/image.ts";
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
  await using build = new ImageBuild(image, options);
  build.begin(0);
  for (const index of image.layers.keys()) await build.apply(index, root);
  await build.finish(root);
  return build.summary;
}

/**
 * The build of an image, step by step: for a store that keeps layers apart. Disposing of it ends what
 * it still fetches.
 */
export class ImageBuild implements AsyncDisposable {
  readonly #image: Image;
  readonly #options: BuildOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #summaries: LayerSummary[] = [];
  #files: readonly Promise<OpenedLayer>[] = [];
  #first = 0;
  /** The lowest layer that was neither applied nor passed over. */
  #next = 0;
  #applied: Meter | undefined;

  constructor(image: Image, options: BuildOptions) {
    this.#image = image;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** What was applied up to now. */
  get summary(): BuildSummary {
    return total(this.#summaries);
  }

  /** Fetch the layer of this index, counted from 0, and all above it. Call it once. */
  begin(first: number): void {
    const { progress } = this.#options;
    const layers = this.#image.layers.slice(first);
    this.#refuseTooLarge(layers);
    const fetched = new Meter(layers, (done, sum) => progress.onFetch(done, sum));
    this.#applied = new Meter(layers, (done, sum) => progress.onApply(done, sum));
    this.#first = first;
    this.#passOver(first);
    this.#files = layers.map((layer) =>
      layer.open({ signal: this.#signal, onProgress: (bytes) => fetched.add(bytes) })
    );
    // Whoever applies a layer is told why it cannot be had; until then that is nobody's.
    for (const file of this.#files) file.catch(() => {});
  }

  /**
   * Wait until all layers that are fetched are there, and let go of them: in place of applying them.
   *
   * @throws {EnrootError} when one cannot be had, or is not what its digest says
   */
  async fetched(): Promise<void> {
    for (const file of await Promise.all(this.#files)) {
      await file.whole;
      file.release?.();
    }
  }

  /** What is stored in more bytes than the limit is not fetched: compression makes little larger. */
  #refuseTooLarge(layers: readonly Layer[]): void {
    const { maxSize = Infinity } = this.#options.limits;
    const slack = maxSize / 100 + 65_536;
    for (const { size = 0, diffId } of layers) {
      if (size <= maxSize + slack) continue;
      throw new EnrootError(
        "too-large",
        `layer ${diffId} of ${this.#image.uri} is stored in ${size} bytes, and more than ${maxSize} ` +
          "are not allowed (ENROOT_MAX_LAYER_SIZE)",
      );
    }
  }

  /**
   * Apply a layer that is being fetched.
   *
   * @param index counted from 0
   * @param root the folder with the layers below it
   * @throws {EnrootError} as {@linkcode buildRootfs}
   */
  async apply(index: number, root: string): Promise<void> {
    const { layers } = this.#image;
    const [layer, file] = [layers[index], this.#files[index - this.#first]];
    if (layer === undefined || file === undefined) {
      throw new RangeError(`layer ${index} is not begun`);
    }
    this.#passOver(index);
    this.#next = index + 1;
    if (index === 0) await resetTime(root);
    const name = `layer ${index + 1} of ${layers.length} (${layer.digest ?? layer.diffId})`;
    this.#summaries.push(
      await this.#applyFile(root, name, layer, await this.#usable(layer, await file)),
    );
  }

  /** Add what is no layer's: the working folder and the generated files. */
  async finish(root: string): Promise<void> {
    const { layers } = this.#image;
    this.#passOver(layers.length);
    const config = await this.#image.config();
    if (layers.length === 0) await resetTime(root);
    makeWorkingFolder(root, config.workingDir);
    writeRootfsFiles(root, rootfsFiles(config, this.#options.provenance), createdAt(config));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the build has ended"));
    await Promise.allSettled(this.#files.map(async (file) => (await file).whole));
  }

  /** What was dropped while it arrived, before anybody read it, is no loss: then it is waited for. */
  async #usable(layer: Layer, file: OpenedLayer): Promise<OpenedLayer> {
    if (file.whole === undefined || file.failure?.() === undefined) return file;
    try {
      await file.whole;
      return await layer.open({ signal: this.#signal });
    } finally {
      file.release?.();
    }
  }

  async #applyFile(
    root: string,
    name: string,
    layer: Layer,
    file: OpenedLayer,
  ): Promise<LayerSummary> {
    const { pool, ownership, limits } = this.#options;
    try {
      const summary = await pool.applyLayer(
        {
          kind: "apply-layer",
          root,
          name,
          file: {
            path: file.path,
            offset: file.offset,
            size: file.size,
            ...(file.arrival === undefined ? {} : { arrival: file.arrival }),
          },
          compression: file.compression,
          ...(layer.digest === undefined ? {} : { digest: layer.digest }),
          diffId: layer.diffId,
          ownership,
          limits: limitsFor(file, limits),
        },
        { signal: this.#signal, onProgress: (bytes) => this.#applied?.add(bytes) },
      );
      // It was read to its end; in the cache it has its name a moment later.
      await file.whole;
      return summary;
    } catch (error) {
      const code = error instanceof EnrootError ? error.code : "";
      // Whoever brings it may be about to find out, too, and to have it anew: then it is whole next time.
      if (arrivedWrong.has(code)) await file.whole?.catch(() => {});
      // Damaged bytes in the cache would fail every import to come.
      if (code === "digest-mismatch" && file.failure?.() === undefined) await layer.discard?.();
      // Who brings the bytes knows better why they ended.
      throw file.failure?.() ?? error;
    } finally {
      file.release?.();
    }
  }

  /** Layers below this one that were not applied are in the store by now. */
  #passOver(index: number): void {
    for (const layer of this.#image.layers.slice(this.#next, index)) layer.skip?.();
    this.#next = Math.max(this.#next, index);
  }
}

/** How it shows that what has arrived of a layer is not what it should be, or does not count any more. */
const arrivedWrong: ReadonlySet<string> = new Set(["digest-mismatch", "truncated"]);

/** Of bytes that a source has compressed itself, how far they inflate says nothing. */
function limitsFor(
  { tarSize }: OpenedLayer,
  { maxInflateRatio, ...rest }: LayerLimits,
): LayerLimits {
  return tarSize !== undefined || maxInflateRatio === undefined
    ? rest
    : { ...rest, maxInflateRatio };
}

/** A folder's time is that of its last change; the root's is the image's, if no layer says other. */
function resetTime(root: string): Promise<void> {
  return Deno.utime(root, 0, 0);
}

/** When the image was made, in seconds since the epoch; 0 when it does not say. */
export function createdAt({ created }: ImageConfig): number {
  const time = Date.parse(created ?? "");
  return Number.isFinite(time) && time > 0 ? Math.floor(time / 1000) : 0;
}

/** `/etc/rc` cannot make it in a root filesystem that is read-only, as it is by default. */
function makeWorkingFolder(root: string, path: string): void {
  if (path === "") return;
  using rootfs = new Rootfs(root);
  try {
    rootfs.create(path, "dir");
  } catch (error) {
    throw new EnrootError(
      "bad-working-folder",
      `cannot make the image's working folder ${path}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
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
