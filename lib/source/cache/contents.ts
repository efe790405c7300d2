/**
 * What is in the cache.
 *
 * @module
 */

import { type Digest, parseDigest } from "../../oci/digest.ts";
import { isFree } from "./file_lock.ts";
import { openIfThere } from "./held_blob.ts";
import { indexedImages } from "./image_index.ts";

/** A file of the cache. */
export interface CachedFile {
  /** A blob, or what arrived of one. */
  readonly kind: "blob" | "partial";
  /** Of the blob; of a partial one, that it is to have. */
  readonly digest: Digest;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** When it was used last, in milliseconds since the epoch. */
  readonly usedAt: number;
  /** live: in use, or being fetched; warm: whole; cold: a part that nobody fetches. */
  readonly state: "live" | "warm" | "cold";
  /** The names of the images that it belongs to, where they were asked for. */
  readonly images: readonly string[];
}

/**
 * The files of the cache, those that were not used for longest first. What is no blob is passed over.
 *
 * @param cache `ENROOT_CACHE_PATH`
 * @param options.withImages whether the images are wanted, for which every manifest is read
 * @throws {Error} when it cannot be read; a cache that is not there is empty
 */
export function cachedFiles(
  cache: string,
  { withImages = false }: { readonly withImages?: boolean } = {},
): CachedFile[] {
  const names = withImages ? namesOf(cache) : new Map<Digest, readonly string[]>();
  const blobs = `${cache}/blobs/sha256`;
  return entries(blobs).flatMap((name): CachedFile[] => {
    const [, hex, unique] = /^([0-9a-f]{64})((?:\.[0-9a-f-]{36})?\.partial)?$/.exec(name) ?? [];
    if (hex === undefined) return [];
    const path = `${blobs}/${name}`;
    using file = openForLooking(path);
    if (file === undefined) return [];
    const { size, mtime } = file.statSync();
    const digest = parseDigest(`sha256:${hex}`);
    const kind = unique === undefined ? "blob" : "partial";
    return [{
      kind,
      digest,
      path,
      size,
      usedAt: mtime?.getTime() ?? 0,
      state: !isFree(file) ? "live" : kind === "blob" ? "warm" : "cold",
      images: names.get(digest) ?? [],
    }];
  }).sort((a, b) => a.usedAt - b.usedAt);
}

/** NFS locks only what is open for writing; a cache that cannot be written is locked by nobody. */
function openForLooking(path: string): Deno.FsFile | undefined {
  try {
    return openIfThere(path, { read: true, write: true });
  } catch {
    return openIfThere(path, { read: true });
  }
}

function namesOf(cache: string): ReadonlyMap<Digest, readonly string[]> {
  const names = new Map<Digest, string[]>();
  for (const { name, blobs } of indexedImages(cache)) {
    if (name === undefined) continue;
    for (const digest of blobs) {
      const list = names.get(digest) ?? [];
      if (!list.includes(name)) names.set(digest, [...list, name]);
    }
  }
  return names;
}

function entries(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
