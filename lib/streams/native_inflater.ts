/**
 * The runtime's inflaters, driven a piece at a time.
 *
 * @module
 */

import type { InflateRaw, ZstdDecompress } from "node:zlib";
import { reasonOf } from "../errors.ts";
import { CompressionError } from "./compression_error.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How large the pieces are that inflated bytes come in. */
export const pieceSize = 256 * 1024;

/**
 * One run of an inflater. Nothing waits in it: what a piece inflates to has been taken when its
 * `write` ends, so a failure of the taker stops it at once, and damage further on loses nothing.
 */
export class NativeInflater implements Disposable {
  readonly #stream: InflateRaw | ZstdDecompress;
  #failure: { readonly reason: unknown } | undefined;

  /** @param take given the inflated bytes, valid only during the call */
  constructor(stream: InflateRaw | ZstdDecompress, take: (bytes: Bytes) => void) {
    this.#stream = stream;
    stream.on("error", (error) => this.#failure ??= { reason: damaged(error) });
    stream.on("data", (bytes: Bytes) => {
      if (this.#failure !== undefined) return;
      try {
        take(bytes);
      } catch (reason) {
        this.#failure = { reason };
        stream.destroy();
      }
    });
  }

  /** How many of the bytes written were used: fewer than all once the data is at its end. */
  get consumed(): number {
    return this.#stream.bytesWritten;
  }

  /** @throws {CompressionError} when the bytes are damaged; or what the taker threw */
  async write(bytes: Bytes): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // A stream that is destroyed half-way never answers the write.
    const closed = (): void => resolve();
    this.#stream.once("close", closed);
    this.#stream.write(bytes, () => resolve());
    await promise;
    this.#stream.off("close", closed);
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}

/** What the runtime says of damaged bytes, as an error for people. */
export function damaged(cause: unknown): CompressionError {
  const reason = reasonOf(cause).replace(/^Zstd decompress error: /, "");
  return new CompressionError(`it is damaged (${reason})`, { cause });
}
