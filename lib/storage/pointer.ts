/**
 * Pointer files: a few hundred bytes that stand for an image in a ZFS store.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";

/** The first line of every pointer file. */
export const pointerMagic = "enroot-zfs-image:v1";

/**
 * Whether a file is a pointer: its first line is the magic, whatever its name.
 *
 * @throws {EnrootError} when it cannot be read
 */
export async function isPointer(path: string): Promise<boolean> {
  const start = new Uint8Array(pointerMagic.length + 1);
  try {
    using file = await Deno.open(path);
    const length = await file.read(start) ?? 0;
    return new TextDecoder().decode(start.subarray(0, length)) === `${pointerMagic}\n`;
  } catch (error) {
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
