/**
 * The templates and layers of a store as a part of the cache.
 *
 * @module
 */

import type { StoredImage, TemplateStore } from "../storage/store.ts";
import type { CacheItem, CachePart } from "./cache_part.ts";

/** The templates of a store, and the layers they stand on. ZFS itself checks what they hold. */
export function templatePart(store: TemplateStore): CachePart {
  return {
    list: async () => (await store.stored()).map(itemOf),
    prune: async (options) => (await store.prune(options)).map(itemOf),
  };
}

function itemOf({ kind, id, state, used, lastUsed, uri }: StoredImage): CacheItem {
  return {
    kind,
    // An id is 64 hex digits, and a word behind them where the tree is not the usual one.
    id: `sha256:${id}`,
    size: used,
    usedAt: lastUsed * 1000,
    state,
    uris: uri === undefined ? [] : [uri],
  };
}
