/**
 * Reading a part of a file.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { arrivedBeyond } from "./arrival.ts";

const pieceSize = 256 * 1024;

/** A part of a file. */
export interface FileRegion {
  readonly path: string;
  /** Where it begins, and how long it is, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** How far the file has arrived, of `lib/streams/arrival.ts`; absent: it is all there. */
  readonly arrival?: SharedArrayBuffer;
}

/**
 * The bytes of a region of a file, in pieces; each piece is the reader's to keep. Of a pipe, by its
 * path below `/proc/self/fd`, they can be read once. Of a file that is still arriving they are waited for.
 *
 * @param what the thing that is read, for messages
 * @param check asked while bytes are waited for; what it throws ends the reading
 * @throws {EnrootError} code `truncated` when the file ends before the region
 */
export async function* readRegion(
  { path, offset, size, arrival }: FileRegion,
  what: string,
  check: () => void = () => {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = Deno.openSync(path);
  // A pipe cannot be seeked in, and needs not to be.
  if (offset > 0) file.seekSync(offset, Deno.SeekMode.Start);
  let arrived = arrival === undefined ? Infinity : 0;
  for (let left = size; left > 0;) {
    const position = offset + size - left;
    if (arrival !== undefined && arrived <= position) {
      arrived = arrivedBeyond(arrival, position, check);
    }
    const piece = new Uint8Array(Math.min(left, pieceSize, arrived - position));
    const length = file.readSync(piece);
    if (length === null) {
      throw new EnrootError("truncated", `${what} is truncated: ${left} bytes are missing`);
    }
    left -= length;
    yield piece.subarray(0, length);
  }
}
