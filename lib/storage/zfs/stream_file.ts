/**
 * Telling `.zfs` files from others, by their content.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { isStreamStart, streamMagicLength } from "../../zfs/stream_header.ts";

/** Whether a file begins as a `zfs send` stream does. @throws {EnrootError} code `cannot-read` */
export function isZfsStream(path: string): boolean {
  try {
    using file = Deno.openSync(path);
    const start = new Uint8Array(streamMagicLength);
    const length = file.readSync(start) ?? 0;
    return isStreamStart(start.subarray(0, length));
  } catch (error) {
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
