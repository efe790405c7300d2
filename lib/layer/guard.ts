/**
 * What ends a layer before its time: the word that cancels it, and the bounds it must keep.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { ApplyLayer } from "../pool/protocol.ts";
import type { TarEntry } from "../tar/entry.ts";

/** A ratio is only judged once this many bytes came out: small archives compress to almost nothing. */
const judgedFrom = 16 << 20;

/** Watches over one layer. */
export class Guard {
  readonly #name: string;
  readonly #limits: ApplyLayer["limits"];
  readonly #cancelled: Int32Array<SharedArrayBuffer>;
  #stored = 0;
  #tar = 0;
  #holes = 0;

  constructor({ name, limits, cancelled }: Pick<ApplyLayer, "name" | "limits" | "cancelled">) {
    this.#name = name;
    this.#limits = limits;
    this.#cancelled = new Int32Array(cancelled);
  }

  /** How many bytes of the tar there were. */
  get tarSize(): number {
    return this.#tar;
  }

  /** @throws {EnrootError} code `cancelled`, when the word was set */
  readonly check = (): void => {
    if (Atomics.load(this.#cancelled, 0) === 0) return;
    throw new EnrootError("cancelled", `${this.#name}: cancelled`);
  };

  /** So many more stored bytes were read. @throws {EnrootError} as {@linkcode check} */
  stored(bytes: number): void {
    this.check();
    this.#stored += bytes;
  }

  /** So many more bytes of the tar came out of them. @throws {EnrootError} code `too-large` too */
  tar(bytes: number): void {
    this.check();
    this.#tar += bytes;
    this.#judge();
  }

  /**
   * A file is about to be made. Its holes count as if they were stored: whoever reads it gets them.
   *
   * @throws {EnrootError} code `too-large`
   */
  file({ size, extents }: TarEntry): void {
    if (extents === undefined) return;
    this.#holes += extents.reduce((rest, extent) => rest - extent.size, size);
    this.#judge();
  }

  #judge(): void {
    const { maxSize, maxInflateRatio } = this.#limits;
    const size = this.#tar + this.#holes;
    const holes = this.#holes === 0 ? "" : "with the holes of its sparse files ";
    if (maxSize !== undefined && size > maxSize) {
      throw new EnrootError(
        "too-large",
        `${this.#name} ${holes}has more than ${maxSize} bytes (ENROOT_MAX_LAYER_SIZE)`,
      );
    }
    if (maxInflateRatio === undefined || size <= judgedFrom) return;
    if (size > this.#stored * maxInflateRatio) {
      throw new EnrootError(
        "too-large",
        `${this.#name} ${holes}inflates to more than ${maxInflateRatio} times its size ` +
          "(ENROOT_MAX_INFLATE_RATIO)",
      );
    }
  }
}
