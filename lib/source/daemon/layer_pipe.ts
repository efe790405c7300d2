/**
 * A layer on its way from the stream to the worker that applies it.
 *
 * @module
 */

import type { LayerCompression } from "../../oci/media_type.ts";
import { close } from "../../sys/at.ts";
import { makePipe } from "../../sys/pipe.ts";
import type { OpenedLayer } from "../image.ts";

/** A pipe that brings a layer's bytes, which can be read once. Its reader sets the pace. */
export class LayerPipe implements OpenedLayer {
  readonly path: string;
  readonly offset = 0;
  readonly size: number;
  readonly compression: LayerCompression;
  readonly #read: number;
  readonly #file: Deno.FsFile;
  #isReleased = false;
  #isClosed = false;
  #failure: unknown;

  /** @param size how many bytes will be written */
  constructor(size: number, compression: LayerCompression) {
    const { read, write } = makePipe();
    this.#read = read;
    this.size = size;
    this.compression = compression;
    // The reader opens an end of its own; this one keeps the pipe until then.
    this.path = `/proc/self/fd/${read}`;
    try {
      // Written to by the runtime's own threads, so that nothing else waits for the reader.
      this.#file = Deno.openSync(`/proc/self/fd/${write}`, { write: true });
    } catch (error) {
      close(read);
      throw error;
    } finally {
      close(write);
    }
  }

  /** Write, as fast as it is read. @returns false when nobody reads it any more */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    try {
      for (let rest = bytes; rest.length > 0;) {
        rest = rest.subarray(await this.#file.write(rest));
      }
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      throw error;
    }
  }

  /** There are no more bytes. @param failure why, when they are not all there are */
  close(failure?: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Known before the reader sees the end.
    this.#failure = failure;
    this.#file.close();
  }

  failure(): unknown {
    return this.#failure;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    close(this.#read);
  }
}
