/**
 * Reading a part of a file.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

const pieceSize = 256 * 1024;

/**
 * The bytes of a region of a file, in pieces; each piece is the reader's to keep. Of a pipe, by its
 * path below `/proc/self/fd`, they can be read once.
 *
 * @param what the thing that is read, for messages
 * @throws {EnrootError} code `truncated` when the file ends before the region
 */
export async function* readRegion(
  { path, offset, size }: { readonly path: string; readonly offset: number; readonly size: number },
  what: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = Deno.openSync(path);
  // A pipe cannot be seeked in, and needs not to be.
  if (offset > 0) file.seekSync(offset, Deno.SeekMode.Start);
  for (let left = size; left > 0;) {
    const piece = new Uint8Array(Math.min(left, pieceSize));
    const length = file.readSync(piece);
    if (length === null) {
      throw new EnrootError("truncated", `${what} is truncated: ${left} bytes are missing`);
    }
    left -= length;
    yield piece.subarray(0, length);
  }
}
