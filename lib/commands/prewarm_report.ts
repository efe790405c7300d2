/**
 * What `prewarm` tells of its images: a line each, for people or for programs.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import type { Context } from "./command.ts";
import type { PrewarmedImage } from "./prewarm_image.ts";
import type { ListedImage } from "./prewarm_list.ts";
import { formatBytes } from "./units.ts";

/** Takes what happens, and tells it. Times are in milliseconds. */
export class PrewarmReport {
  readonly #context: Context;
  readonly #asJson: boolean;
  readonly #count: number;
  readonly #begunAt = performance.now();
  #ready = 0;
  #failed = 0;
  #fetched = 0;

  /** @param count how many images there are */
  constructor(context: Context, { asJson, count }: { asJson: boolean; count: number }) {
    this.#context = context;
    this.#asJson = asJson;
    this.#count = count;
  }

  /** Work on an image begins. */
  begin({ name: uri, line }: ListedImage): void {
    if (this.#asJson) this.#event({ event: "begin", uri, line });
  }

  /** An image is ready, `took` after it was begun. */
  ready({ name: uri, line }: ListedImage, image: PrewarmedImage, took: number): void {
    this.#ready++;
    this.#fetched += image.fetched;
    const { imageId, manifestDigest, architecture, layers, size, fetched, isNew, file } = image;
    if (this.#asJson) {
      this.#event({
        ...{ event: "ready", uri, line, image: imageId, manifest: manifestDigest ?? null },
        ...{ arch: architecture, layers, bytes: size, fetched, new: isNew, file: file ?? null },
        seconds: seconds(took),
      });
    } else {
      const what = `${layers} layer${layers === 1 ? "" : "s"}, ${formatBytes(size)}`;
      const how = isNew
        ? `${formatBytes(fetched)} fetched, ${seconds(took).toFixed(1)} s`
        : "it was there";
      this.#line(`ok    ${uri}: ${what}; ${how}${file === undefined ? "" : `; ${file}`}`);
    }
    this.#progress();
  }

  /** An image failed. @param wasReady it was told to be ready before */
  failed(
    { name: uri, line }: ListedImage,
    error: unknown,
    { took = 0, wasReady = false }: { readonly took?: number; readonly wasReady?: boolean },
  ): void {
    this.#failed++;
    if (wasReady) this.#ready--;
    const known = error instanceof EnrootError;
    const message = known ? error.message : `unexpected failure: ${reasonOf(error)}`;
    if (this.#asJson) {
      const code = known ? error.code : "unexpected";
      this.#event({ event: "failed", uri, line, code, message, seconds: seconds(took) });
    } else this.#line(`fail  ${message.startsWith(`${uri}: `) ? "" : `${uri}: `}${message}`);
    this.#progress();
  }

  /** All is done. @returns the exit code */
  end(): number {
    const { terminal } = this.#context;
    const images = this.#count;
    const [ready, failed, fetched] = [this.#ready, this.#failed, this.#fetched] as const;
    const took = seconds(performance.now() - this.#begunAt);
    if (this.#asJson) {
      this.#event({ event: "end", images, ready, failed, fetched, seconds: took });
    }
    terminal.finish();
    const sum = `${formatBytes(fetched)} fetched in ${took.toFixed(1)} s`;
    const all = `${images} image${images === 1 ? "" : "s"}`;
    if (failed === 0) terminal.log("info", `${all} ready: ${sum}`);
    else terminal.log("error", `${failed} of ${all} failed, ${ready} ready: ${sum}`);
    return failed === 0 ? 0 : 1;
  }

  #progress(): void {
    const { terminal } = this.#context;
    terminal.progress("Images", this.#ready + this.#failed, this.#count);
  }

  #event(event: Readonly<Record<string, unknown>>): void {
    this.#context.print(`${JSON.stringify(event)}\n`);
  }

  /** The list and the registries may say anything, and a terminal is not to obey them. */
  #line(text: string): void {
    // Lines and progress share a screen.
    this.#context.terminal.finish();
    this.#context.print(`${text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")}\n`);
  }
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
