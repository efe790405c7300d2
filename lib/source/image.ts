/**
 * What every source of images gives: the one view that everything above a source has of an image.
 *
 * @module
 */

import type { DiffId, Digest } from "../oci/digest.ts";
import type { ImageConfig } from "../oci/image_config.ts";
import type { LayerCompression } from "../oci/media_type.ts";

/** A region of a local file that holds a layer's stored bytes. Nothing writes to it any more. */
export interface LayerFile {
  /** Absolute path. */
  readonly path: string;
  /** Where the layer begins, in bytes. */
  readonly offset: number;
  /** How long it is, in bytes. */
  readonly size: number;
}

/** One layer of an image. */
export interface Layer {
  /** The digest of its uncompressed tar, from the image's config. */
  readonly diffId: DiffId;
  /** The digest of its stored bytes; absent where only the diff ID vouches for them (docker-archive). */
  readonly digest?: Digest;
  /** How its tar is stored. */
  readonly compression: LayerCompression;
  /** How many bytes are stored; absent when not known before they are read. */
  readonly size?: number;

  /**
   * Make the stored bytes available as a local file, fetching them when they are not there yet.
   *
   * Safe to call for several layers at once. Whoever reads the file checks both digests as it goes:
   * a file is not trusted for being there. The file stays until the image is disposed of.
   *
   * @param options.signal ends the fetch; what was fetched is not left half-visible
   * @param options.onProgress told of bytes as they arrive: how many more; fewer than none when a
   * transfer broke and what came of it does not count
   * @throws {EnrootError} when the bytes cannot be had or are not those of the digest
   */
  open(options: {
    readonly signal: AbortSignal;
    readonly onProgress?: (bytes: number) => void;
  }): Promise<LayerFile>;

  /**
   * Drop the stored bytes from the cache, because they turned out to be damaged; the next `open`
   * fetches them again. Absent where the bytes are not ours to drop.
   */
  discard?(): Promise<void>;
}

/**
 * One image for one platform. Its manifest and config were read and checked when it was opened;
 * layers are opened one by one. Disposing of it removes whatever it spooled, and leaves the cache.
 */
export interface Image extends AsyncDisposable {
  /** Where it came from, in full, without credentials: `docker://registry-1.docker.io/library/ubuntu:24.04`. */
  readonly uri: string;
  /** The digest of its config: the image ID. */
  readonly imageId: Digest;
  /** The digest of its manifest; absent where there is none (docker-archive). */
  readonly manifestDigest?: Digest;
  /** Its config as stored: the bytes that {@linkcode imageId} is the digest of. */
  readonly configBytes: Uint8Array;
  /** Its config as read. */
  readonly config: ImageConfig;
  /** Its layers, lowest first; one for each diff ID of the config. */
  readonly layers: readonly Layer[];
}
