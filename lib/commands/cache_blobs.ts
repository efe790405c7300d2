/**
 * The blobs of registries as a part of the cache.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError, reasonOf } from "../errors.ts";
import { type CachedFile, cachedFiles } from "../source/cache/contents.ts";
import { filesToPrune, pruneFiles } from "../source/cache/prune.ts";
import { verifyCache } from "../source/cache/verify.ts";
import type { CacheItem, CachePart } from "./cache_part.ts";

/** The blob cache that the configuration names. Its methods throw `EnrootError`s that name it. */
export function blobPart({ cachePath, cacheMaxSize: maxSize }: Config): CachePart {
  const files = (): CachedFile[] => cachedFiles(cachePath, { withImages: true });
  return {
    list: () => explained(cachePath, () => Promise.resolve(files().map(itemOf))),
    prune: ({ all, isDryRun }) =>
      explained(cachePath, async () => {
        const policy = { all, maxSize, partialsOlderThan: 0 };
        const chosen = filesToPrune(files(), policy, Date.now());
        return (isDryRun ? chosen : await pruneFiles(cachePath, chosen)).map(itemOf);
      }),
    async *verify({ isDryRun, signal }) {
      const blobs = verifyCache(cachePath, { signal, drop: !isDryRun });
      for (;;) {
        const { done, value } = await explained(cachePath, () => blobs.next());
        if (done) return;
        const { file, outcome } = value;
        if (outcome !== "gone") yield { item: itemOf(file), outcome };
      }
    },
  };
}

function itemOf({ kind, digest, size, usedAt, state, images }: CachedFile): CacheItem {
  return { kind, id: digest, size, usedAt, state, uris: images.map(uriOf) };
}

/** Images that were imported have their registry in front; other tools name theirs as they like. */
function uriOf(name: string): string {
  return /^[^/]*[.:][^/]*\/|^localhost\//.test(name) ? `docker://${name}` : name;
}

async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !/\(os error \d+\)/.test(error.message)) throw error;
    throw new EnrootError(
      "bad-cache",
      `cannot look after the cache in ${path}: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
