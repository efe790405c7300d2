/**
 * Building an image while the user is told how it goes.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { type BuildOptions, type BuildSummary, ImageBuild } from "../import/build_rootfs.ts";
import { WorkerPool } from "../pool/pool.ts";
import { workerUrl } from "../process/assets.ts";
import type { Image } from "../source/image.ts";
import type { Context } from "./command.ts";
import { leftOut } from "./left_out.ts";
import { ownershipOf } from "./template_id.ts";
import { formatBytes } from "./units.ts";

/** An image to be built, and whom to tell. */
export interface ReportedBuildOptions {
  readonly image: Image;
  readonly signal: AbortSignal;
  /** Workers that other builds use, too; absent: the build's own. */
  readonly pool?: WorkerPool;
}

/** The workers of a build. Disposing of it ends them. */
export function makePool({ terminal }: Context, { maxProcessors }: Config): WorkerPool {
  const warn = (message: string): void => terminal.log("warning", message);
  return new WorkerPool(workerUrl("apply_layer"), maxProcessors, { warn });
}

/** The build of an image, whole or by layers. Disposing of it ends what it still does. */
export class ReportedBuild implements AsyncDisposable {
  readonly #context: Context;
  readonly #image: Image;
  readonly #options: Omit<BuildOptions, "provenance">;
  readonly #stack = new AsyncDisposableStack();
  #build: ImageBuild | undefined;
  #begun = 0;
  #fetched = 0;

  constructor(context: Context, config: Config, { image, signal, pool }: ReportedBuildOptions) {
    const { terminal } = context;
    this.#context = context;
    this.#image = image;
    this.#options = {
      pool: pool ?? this.#stack.use(makePool(context, config)),
      signal,
      ownership: ownershipOf(config),
      limits: {
        ...(config.maxLayerSize === undefined ? {} : { maxSize: config.maxLayerSize }),
        ...(config.maxInflateRatio === undefined
          ? {}
          : { maxInflateRatio: config.maxInflateRatio }),
      },
      progress: {
        onFetch: (done, total) => {
          this.#fetched = done;
          terminal.progress("Downloading", done, total);
        },
        onApply: (done, total) => terminal.progress("Extracting", done, total),
      },
    };
  }

  /** How many bytes of layers arrived by now that were not there before. */
  get fetched(): number {
    return this.#fetched;
  }

  /** Whether something of the image is or was built, or fetched to be. */
  get isBegun(): boolean {
    return this.#build !== undefined;
  }

  /** Only have all layers fetched, for later. */
  async fetch(): Promise<void> {
    this.begin(0);
    await this.#opened().fetched();
  }

  /** Build all of it in an empty folder. @param provenance the URI to note in it */
  async whole(root: string, provenance?: string): Promise<void> {
    this.begin(0, provenance);
    for (const index of this.#image.layers.keys()) await this.apply(index, root);
    await this.finish(root);
  }

  /** Fetch the layer of this index and all above it. */
  begin(first: number, provenance?: string): void {
    this.#begun = performance.now();
    const options = provenance === undefined ? this.#options : { ...this.#options, provenance };
    this.#build = this.#stack.use(new ImageBuild(this.#image, options));
    this.#build.begin(first);
  }

  /** Apply a layer on top of those below it. */
  async apply(index: number, root: string): Promise<void> {
    await this.#opened().apply(index, root);
  }

  /** Add what is no layer's. */
  async finish(root: string): Promise<void> {
    const build = this.#opened();
    await build.finish(root);
    this.#report(build.summary);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** With all layers in the store already there is nothing to begin with, and only an end. */
  #opened(): ImageBuild {
    if (this.#build === undefined) this.begin(this.#image.layers.length);
    if (this.#build === undefined) throw new Error("a build that was begun is there");
    return this.#build;
  }

  #report(summary: BuildSummary): void {
    const { terminal } = this.#context;
    terminal.finish();
    const seconds = ((performance.now() - this.#begun) / 1000).toFixed(1);
    terminal.log(
      "info",
      `Extracted ${summary.entries} entries, ${formatBytes(summary.tarSize)}, in ${seconds} s`,
    );
    for (const warning of leftOut(summary)) terminal.log("warning", warning);
  }
}
