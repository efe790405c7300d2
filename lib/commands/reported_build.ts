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
}

/** The build of an image, whole or by layers. Disposing of it ends what it still does. */
export class ReportedBuild implements AsyncDisposable {
  readonly #context: Context;
  readonly #image: Image;
  readonly #options: Omit<BuildOptions, "provenance">;
  readonly #stack = new AsyncDisposableStack();
  #build: ImageBuild | undefined;
  #begun = 0;

  constructor(context: Context, config: Config, { image, signal }: ReportedBuildOptions) {
    const { terminal } = context;
    this.#context = context;
    this.#image = image;
    this.#options = {
      pool: this.#stack.use(new WorkerPool(workerUrl("apply_layer"), config.maxProcessors)),
      signal,
      ownership: ownershipOf(config),
      limits: {
        ...(config.maxLayerSize === undefined ? {} : { maxSize: config.maxLayerSize }),
        ...(config.maxInflateRatio === undefined
          ? {}
          : { maxInflateRatio: config.maxInflateRatio }),
      },
      progress: {
        onFetch: (done, total) => terminal.progress("Downloading", done, total),
        onApply: (done, total) => terminal.progress("Extracting", done, total),
      },
    };
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
