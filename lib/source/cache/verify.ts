/**
 * Looking whether the cache's blobs are what their names say.
 *
 * @module
 */

import { type CachedFile, cachedFiles } from "./contents.ts";
import { hashFile } from "./hash_file.ts";
import { pruneFiles } from "./prune.ts";

/** What became of a blob that was looked at. */
export interface VerifiedBlob {
  readonly file: CachedFile;
  /** kept: damaged, but in use; damaged: not to be dropped; gone: somebody else removed it. */
  readonly outcome: "good" | "dropped" | "damaged" | "kept" | "gone";
}

/**
 * Hash every blob, and drop those that are damaged. Parts of blobs are passed over: they are checked
 * when they are whole.
 *
 * @param options.drop whether damaged ones are dropped; those in use never are
 * @throws {Error} when a blob cannot be read; the signal's reason
 */
export async function* verifyCache(
  cache: string,
  { signal, drop = true }: { readonly signal: AbortSignal; readonly drop?: boolean },
): AsyncGenerator<VerifiedBlob> {
  for (const file of cachedFiles(cache, { withImages: true })) {
    if (file.kind !== "blob") continue;
    const actual = await hashFile(file.path, signal);
    if (actual === undefined) yield { file, outcome: "gone" };
    else if (actual === file.digest) yield { file, outcome: "good" };
    else if (!drop) yield { file, outcome: "damaged" };
    else {
      const gone = await pruneFiles(cache, [file]);
      yield { file, outcome: gone.length > 0 ? "dropped" : "kept" };
    }
  }
}
