/**
 * The digest of a file of the cache.
 *
 * @module
 */

import { createSha256 } from "../../std/node.ts";
import { openIfThere } from "./held_blob.ts";

const readAtOnce = 1 << 20;

/** The digest of a file's bytes, not checked yet; `undefined` when it is not there. */
export async function hashFile(path: string, signal: AbortSignal): Promise<string | undefined> {
  using file = openIfThere(path, { read: true });
  if (file === undefined) return undefined;
  const hash = createSha256();
  const buffer = new Uint8Array(readAtOnce);
  for (let length; (length = await file.read(buffer)) !== null;) {
    signal.throwIfAborted();
    hash.update(buffer.subarray(0, length));
  }
  return `sha256:${hash.digest("hex")}`;
}
