/**
 * What the main thread and the workers say to each other. Paths and numbers cross, never file
 * contents; errors are encoded by hand, because structured clone drops their classes.
 *
 * @module
 */

import type { DiffId, Digest } from "../oci/digest.ts";
import type { LayerCompression } from "../oci/media_type.ts";

/** Who files belong to: everything to the caller, or the numbers of the archive (root only). */
export type Ownership = "caller" | "numeric";

/**
 * Bounds that a layer must keep, beyond the size the manifest states. The holes of sparse files count
 * as bytes of its tar.
 */
export interface LayerLimits {
  /** The most bytes its tar may have; absent: no limit. */
  readonly maxSize?: number;
  /** The most bytes of tar for one stored byte; absent: no limit. */
  readonly maxInflateRatio?: number;
}

/** A layer as it is stored, and what its bytes are to be. */
export interface StoredLayer {
  /** What it is called in messages. */
  readonly name: string;
  readonly file: {
    readonly path: string;
    readonly offset: number;
    readonly size: number;
    /** How far it has arrived, where it is still arriving: memory of `lib/streams/arrival.ts`. */
    readonly arrival?: SharedArrayBuffer;
  };
  readonly compression: LayerCompression;
  readonly digest?: Digest;
  readonly diffId: DiffId;
}

/** What every request has. */
interface Asked {
  /** Unique among the requests of one worker. */
  readonly id: number;
  /** One 32-bit word; not 0 once the request is cancelled. */
  readonly cancelled: SharedArrayBuffer;
}

/** Apply one layer on top of what is in a root folder already. */
export interface ApplyLayer extends StoredLayer, Asked {
  readonly kind: "apply-layer";
  /** The root folder, absolute; only this request writes below it. */
  readonly root: string;
  readonly ownership: Ownership;
  readonly limits: LayerLimits;
  /** Where its tar comes from, inflated by another worker; absent: this one inflates it too. */
  readonly ring?: SharedArrayBuffer;
}

/** Inflate a layer for the worker that applies it. */
export interface InflateLayer extends StoredLayer, Asked {
  readonly kind: "inflate-layer";
  /** Where its tar goes: a new ring of `lib/pool/ring.ts`. */
  readonly ring: SharedArrayBuffer;
}

/** Everything a worker is asked. */
export type Request = ApplyLayer | InflateLayer;

/** What a layer turned out to hold. */
export interface LayerSummary {
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  /** Device nodes that were not made. */
  readonly skippedDevices: number;
  /** Extended attributes and ACLs that could not be set. */
  readonly skippedXattrs: number;
}

/** An error on its way between threads. */
export interface EncodedError {
  /** Of an `EnrootError`; absent for anything else. */
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
}

/** The worker takes requests. It says so once, before anything else. */
export interface Ready {
  readonly kind: "ready";
  /** The thread it runs in, as a path below `/proc`: it is there for as long as the thread. */
  readonly thread: string;
}

/** So many more stored bytes of the layer were read. */
export interface Progress {
  readonly kind: "progress";
  readonly id: number;
  readonly bytes: number;
}

/** The layer is applied, and both of its digests were right. */
export interface Applied {
  readonly kind: "applied";
  readonly id: number;
  readonly summary: LayerSummary;
}

/** The layer's tar is in the ring to its end, and what this worker was to check was right. */
export interface Inflated {
  readonly kind: "inflated";
  readonly id: number;
}

/** The request failed; the root folder must not be used. */
export interface Failed {
  readonly kind: "failed";
  readonly id: number;
  readonly error: EncodedError;
}

/** The end of a request. */
export type Answer = Applied | Inflated | Failed;

/** Everything a worker says. */
export type Reply = Ready | Progress | Answer;
