/**
 * What `enroot cache` shows and removes, wherever it is kept.
 *
 * @module
 */

/** One thing that is kept so that it need not be fetched or made again. */
export interface CacheItem {
  readonly kind: "template" | "layer" | "blob" | "partial";
  /** What it is known by: a digest, a template's id. */
  readonly id: string;
  /** Bytes. */
  readonly size: number;
  /** When it was used last, in milliseconds since the epoch; 0: not known, as for layers. */
  readonly usedAt: number;
  /** live: in use; warm: it may be used again; cold: nobody needs it any more. */
  readonly state: "live" | "warm" | "cold";
  /** The images that it belongs to. */
  readonly uris: readonly string[];
}

/** What became of a thing that was looked at. */
export interface VerifiedItem {
  readonly item: CacheItem;
  /** kept: damaged, but in use; damaged: it was only looked at. */
  readonly outcome: "good" | "dropped" | "damaged" | "kept";
}

/** One place where things are kept. */
export interface CachePart {
  /** What is there. */
  list(): Promise<readonly CacheItem[]>;

  /**
   * Remove what nobody needs, never what is in use.
   *
   * @param options.all what is warm, too
   * @param options.isDryRun only say what would go
   * @returns what is gone, or would be
   */
  prune(
    options: { readonly all: boolean; readonly isDryRun: boolean },
  ): Promise<readonly CacheItem[]>;

  /**
   * Look whether things are what they should be, and drop those that are not; absent where that is
   * checked by somebody else.
   *
   * @param options.isDryRun drop nothing
   */
  verify?(
    options: { readonly isDryRun: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<VerifiedItem>;
}
