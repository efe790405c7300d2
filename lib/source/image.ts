/**
 * What every source of images gives: the one view that everything above a source has of an image.
 *
 * @module
 */

import type { DiffId, Digest } from "../oci/digest.ts";
import type { ImageConfig } from "../oci/image_config.ts";
import type { LayerCompression } from "../oci/media_type.ts";

/** A region of a local file that holds a layer's stored bytes. */
export interface LayerFile {
  /** Absolute path. */
  readonly path: string;
  /** Where the layer begins, in bytes. */
  readonly offset: number;
  /** How long it is, in bytes. */
  readonly size: number;
}

/** A layer's stored bytes, ready to be read from their beginning. */
export interface OpenedLayer extends LayerFile {
  /** How its tar is stored. */
  readonly compression: LayerCompression;
  /**
   * How far the file has arrived, while it is still being fetched: memory of `lib/streams/arrival.ts`.
   * Absent: nothing writes to it any more.
   */
  readonly arrival?: SharedArrayBuffer;
  /** Settles when all of it is there and checked, for one that is still arriving. */
  readonly whole?: Promise<void>;
  /** How many bytes its tar has, where the source has counted them. */
  readonly tarSize?: number;

  /**
   * Why the bytes ended too early, once they have; absent or `undefined` when nothing is known. For a
   * layer that is read while it arrives.
   */
  failure?(): unknown;

  /** Let go of it, once it was read or is not wanted any more; whatever it took up is free. */
  release?(): void;
}

/** One layer of an image. */
export interface Layer {
  /** The digest of its uncompressed tar, from the image's config. */
  readonly diffId: DiffId;
  /** The digest of its stored bytes; absent where only the diff ID vouches for them (docker-archive). */
  readonly digest?: Digest;
  /** How many bytes are stored; absent when not known before they are read. */
  readonly size?: number;

  /**
   * Make the stored bytes available as a local file, fetching them when they are not there yet; the file
   * may be given away while they still arrive.
   *
   * Safe to call for several layers at once, lower ones first. Whoever reads the file checks both
   * digests as it goes: a file is not trusted for being there. The file stays until it is released or
   * the image is disposed of.
   *
   * A source that has all layers in one stream brings them through pipes where it can. Then each
   * layer must be opened and read, in order, or skipped: the stream stands still meanwhile.
   *
   * @param options.signal ends the fetch; what was fetched is not left half-visible
   * @param options.onProgress told of bytes as they arrive: how many more; fewer than none when a
   * transfer broke and what came of it does not count
   * @throws {EnrootError} when the bytes cannot be had or are not those of the digest
   */
  open(options: {
    readonly signal: AbortSignal;
    readonly onProgress?: (bytes: number) => void;
  }): Promise<OpenedLayer>;

  /**
   * Say that this layer is not read, opened or not: its bytes are not kept. Absent where nothing is
   * fetched that is not opened.
   */
  skip?(): void;

  /**
   * Drop the stored bytes from the cache, because they turned out to be damaged; the next `open`
   * fetches them again. Absent where the bytes are not ours to drop.
   */
  discard?(): Promise<void>;
}

/** As whom a registry gave an image's manifest: it would have given it to anybody, or only maybe so. */
export type Access = "anonymous" | "authorized";

/**
 * One image for one platform. Where its source lets it be, its manifest and config were read and
 * checked when it was opened; layers are opened one by one. Disposing of it removes whatever it
 * spooled, and leaves the cache.
 */
export interface Image extends AsyncDisposable {
  /** Where it came from, in full, without credentials: `docker://registry-1.docker.io/library/ubuntu:24.04`. */
  readonly uri: string;
  /** The digest of its config: the image ID. */
  readonly imageId: Digest;
  /** The digest of its manifest; absent where there is none (docker-archive). */
  readonly manifestDigest?: Digest;
  /**
   * What the engine that it came from knows it by, where that is no config digest: the same image is
   * found by it without reading it again.
   */
  readonly engineId?: Digest;
  /** How its manifest was had from its registry just now; absent: it was not asked for there. */
  readonly access?: Access;
  /** What it was built for. */
  readonly architecture: string;
  /** Its layers, lowest first; one for each diff ID of the config. */
  readonly layers: readonly Layer[];

  /**
   * Its config, checked against {@linkcode imageId} and the layers' diff IDs. Nothing of the image may
   * become visible before. In a stream it may come last, so ask for it when the layers are read.
   *
   * @throws {EnrootError} when it is not what it should be
   */
  config(): Promise<ImageConfig>;
}
