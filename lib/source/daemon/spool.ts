/**
 * Where layers wait that come before their turn: compressed, in files without names.
 *
 * @module
 */

import type { ZstdCompress } from "node:zlib";
import { EnrootError, reasonOf } from "../../errors.ts";
import type { LayerCompression } from "../../oci/media_type.ts";
import { zlib } from "../../std/node.ts";
import { close, must, writeAll } from "../../sys/at.ts";
import type { OpenedLayer } from "../image.ts";
import { openTempFile } from "../temp_file.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Fast, and still smaller than what gzip makes of the same. */
const level = 1;

/** Files in the temporary folder, and how much they hold. */
export class Spool {
  readonly #folder: string;
  #held = 0;
  #peak = 0;

  /** @param folder `ENROOT_TEMP_PATH` */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The most bytes that it ever held at once. */
  get peak(): number {
    return this.#peak;
  }

  /** A place for one layer. @param compression of what will be written; plain bytes are compressed */
  begin(compression: LayerCompression): SpoolWriter {
    const file = openTempFile(this.#folder, "enroot-layer.");
    return new SpoolWriter(file, compression, this.#folder, (bytes) => {
      this.#held += bytes;
      this.#peak = Math.max(this.#peak, this.#held);
    });
  }
}

/** A layer that is being put away. Disposing of it before {@linkcode finish} gives it up. */
export class SpoolWriter implements Disposable {
  readonly #file: number;
  readonly #folder: string;
  readonly #count: (bytes: number) => void;
  readonly #compression: LayerCompression;
  readonly #compress: ZstdCompress | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #written = 0;
  #stored = 0;
  #isFinished = false;

  constructor(
    file: number,
    compression: LayerCompression,
    folder: string,
    count: (bytes: number) => void,
  ) {
    this.#file = file;
    this.#folder = folder;
    this.#count = count;
    this.#compression = compression;
    if (compression !== "none") return;
    const { constants, createZstdCompress } = zlib();
    this.#compress = createZstdCompress({
      params: { [constants.ZSTD_c_compressionLevel]: level },
    });
    this.#compress.on("error", (reason) => this.#failure ??= { reason });
    this.#compress.on("data", (bytes: Bytes) => this.#store(bytes));
  }

  /** @throws {EnrootError} code `cannot-write`, when the folder's file system is full for one */
  async write(bytes: Bytes): Promise<void> {
    this.#written += bytes.length;
    const compress = this.#compress;
    if (compress === undefined) this.#store(bytes);
    else await new Promise<void>((resolve) => compress.write(bytes, () => resolve()));
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  /** All is written: the layer, for one to open or to drop unless it is shared. */
  async finish(): Promise<SpooledLayer> {
    const compress = this.#compress;
    if (compress !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      compress.once("close", () => resolve());
      compress.end();
      await promise;
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    this.#isFinished = true;
    const stored = this.#stored;
    return new SpooledLayer(this.#file, {
      size: stored,
      ...(compress === undefined
        ? { compression: this.#compression }
        : { compression: "zstd", tarSize: this.#written }),
      onFree: () => this.#count(-stored),
    });
  }

  [Symbol.dispose](): void {
    if (this.#isFinished) return;
    this.#compress?.destroy();
    close(this.#file);
    this.#count(-this.#stored);
    this.#stored = 0;
  }

  #store(bytes: Bytes): void {
    if (this.#failure !== undefined) return;
    try {
      must(writeAll(this.#file, bytes), "write", this.#folder);
    } catch (cause) {
      const why =
        `cannot keep a layer until its turn: ${reasonOf(cause)}: ENROOT_TEMP_PATH names ` +
        "another folder";
      this.#failure = { reason: new EnrootError("cannot-write", why, { cause }) };
      return;
    }
    this.#stored += bytes.length;
    this.#count(bytes.length);
  }
}

/** A layer that waits for its turn. */
export class SpooledLayer {
  readonly #file: number;
  readonly #facts: SpooledFacts;
  #shares = 1;

  constructor(file: number, facts: SpooledFacts) {
    this.#file = file;
    this.#facts = facts;
  }

  /** Divide it: so many will open or drop it. With none it is gone. */
  share(count: number): void {
    this.#shares = count;
    if (count === 0) this.#free();
  }

  /** Use one share of it: the layer, which gives the share back when it is released. */
  open(): OpenedLayer {
    const { size, compression, tarSize } = this.#facts;
    let isReleased = false;
    return {
      path: `/proc/self/fd/${this.#file}`,
      offset: 0,
      size,
      compression,
      ...(tarSize === undefined ? {} : { tarSize }),
      release: () => {
        if (!isReleased) this.drop();
        isReleased = true;
      },
    };
  }

  /** Give one share back; with the last one the file is gone. */
  drop(): void {
    this.#shares--;
    if (this.#shares === 0) this.#free();
  }

  #free(): void {
    close(this.#file);
    this.#facts.onFree();
  }
}

/** What is known of a layer in a file. */
interface SpooledFacts {
  readonly size: number;
  readonly compression: LayerCompression;
  readonly tarSize?: number;
  readonly onFree: () => void;
}
