/**
 * Making room in the cache.
 *
 * @module
 */

import { type CachedFile, cachedFiles } from "./contents.ts";
import { removeUnused } from "./held_blob.ts";
import { dropBrokenNames } from "./image_index.ts";

/** How long what arrived of a blob waits for whoever wants the rest, in milliseconds. */
const partialLife = 7 * 24 * 3600_000;

/** What is to go. */
export interface PrunePolicy {
  /** All that is not in use. */
  readonly all?: boolean;
  /** Parts of blobs that nobody fetches and that are older than this, in milliseconds. */
  readonly partialsOlderThan?: number;
  /** What was not used for longest, until no more than this many bytes are left. */
  readonly maxSize?: number | undefined;
}

/**
 * Which files have to go.
 *
 * @param files those that were not used for longest first
 * @param now milliseconds since the epoch
 */
export function filesToPrune(
  files: readonly CachedFile[],
  { all = false, partialsOlderThan = Infinity, maxSize = Infinity }: PrunePolicy,
  now: number,
): CachedFile[] {
  let left = files.reduce((sum, { size }) => sum + size, 0);
  const isOld = ({ kind, usedAt }: CachedFile): boolean =>
    kind === "partial" && now - usedAt >= partialsOlderThan;
  const free = files.filter(({ state }) => state !== "live");
  const first = free.filter((file) => all || isOld(file));
  for (const { size } of first) left -= size;
  const rest = free.filter((file) => !first.includes(file)).filter(({ size }) => {
    const goes = left > maxSize;
    if (goes) left -= size;
    return goes;
  });
  return [...first, ...rest];
}

/**
 * Remove files of the cache; one that somebody uses by now stays, and so does whatever else cannot be
 * removed. Images that lost a part lose their names.
 *
 * @returns those that are gone
 * @throws {Error} when the cache cannot be written
 */
export async function pruneFiles(
  cache: string,
  files: readonly CachedFile[],
): Promise<CachedFile[]> {
  const gone = files.filter(({ path }) => removeUnused(path));
  if (gone.some(({ kind }) => kind === "blob")) await dropBrokenNames(cache);
  return gone;
}

/**
 * What is done after something was fetched: keep the cache within its limit, and forget parts of blobs
 * that nobody came back for in a week.
 *
 * @param maxSize bytes; `undefined`: no limit
 * @returns the files that are gone
 * @throws {Error} when the cache cannot be read or written
 */
export async function tidyCache(
  cache: string,
  maxSize: number | undefined,
): Promise<CachedFile[]> {
  const policy = { maxSize, partialsOlderThan: partialLife };
  return await pruneFiles(cache, filesToPrune(cachedFiles(cache), policy, Date.now()));
}
