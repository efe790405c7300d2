/**
 * How sources are used.
 *
 * @module
 */

import type { Digest } from "../oci/digest.ts";

/** What every source may need to know. */
export interface SourceOptions {
  /** The architecture that is wanted, by the name images use. */
  readonly architecture: string;
  /** The blob cache: an OCI layout, made when it is missing. */
  readonly cachePath: string;
  /** Where temporary files go. */
  readonly tempPath: string;
  /** Whether registries may be spoken to without TLS. */
  readonly allowHttp: boolean;
  /** How long a registry may take to answer; 0: no limit. */
  readonly connectTimeoutSeconds: number;
  /** How long one blob may take; 0: no limit. */
  readonly transferTimeoutSeconds: number;
  /** How often a transfer that fails in a way that may pass is tried again. */
  readonly retries: number;
  /** How many blobs are fetched at once; 0: no limit. */
  readonly maxConnections: number;
  /**
   * The image ID that was found behind an engine's own ID before, so that the image need not be read
   * to know it; it is checked all the same. Absent: nobody remembers.
   */
  readonly imageIdOf?: (engineId: Digest) => Promise<Digest | undefined>;
  /** Whether an engine's own ID is never taken for an image ID: the image is read to know it. */
  readonly readsConfigFirst?: boolean;
  /** Ends everything. */
  readonly signal: AbortSignal;
  /** Takes what a user may want to know. */
  readonly log: (level: "debug" | "info" | "warning", message: string) => void;
}
