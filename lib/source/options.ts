/**
 * How sources are used.
 *
 * @module
 */

import type { Digest } from "../oci/digest.ts";
import type { Connections } from "./registry/connections.ts";

/** Where users and sites say how registries are reached, and whose credentials they are given. */
export interface RegistrySettings {
  /** enroot's file of credentials, in netrc format; it need not be there. */
  readonly credentialsFile: string;
  /** Folders that have a folder for each registry, with certificates and mirrors; the first one wins. */
  readonly certsFolders: readonly string[];
  /** Folders of authorities that are trusted for all hosts, as OpenSSL has them. */
  readonly authorityFolders?: readonly string[];
  /** The caller's: it says where the files of other tools are, and is that of credential helpers. */
  readonly environment: Readonly<Record<string, string>>;
}

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
  /** Absent: registries are asked without credentials, and by their own names. */
  readonly registries?: RegistrySettings;
  /** How long a registry may take to answer; 0: no limit. */
  readonly connectTimeoutSeconds: number;
  /** How long a registry may be silent in the middle of an answer; absent: half a minute or more. */
  readonly stallTimeoutSeconds?: number;
  /** How long one blob may take; 0: no limit. */
  readonly transferTimeoutSeconds: number;
  /** How often a transfer that fails in a way that may pass is tried again. */
  readonly retries: number;
  /** How many blobs are fetched at once; 0: no limit. */
  readonly maxConnections: number;
  /** What this image shares with others that are fetched meanwhile; absent: nothing. */
  readonly connections?: Connections;
  /** The most bytes that the cache may have after something was fetched; absent: no limit. */
  readonly cacheMaxSize?: number | undefined;
  /**
   * Whether a registry is asked for a manifest that is known by its digest and may be in the cache: who
   * gets it has shown that he may have it.
   */
  readonly asksForManifest?: boolean;
  /**
   * Whether layers of the cache are hashed before anybody reads them: after one turned out to be
   * damaged. Else only whoever reads a layer finds that out.
   */
  readonly distrustsCache?: boolean;
  /** Whether layers are not read while they arrive: what was read had to be fetched anew. */
  readonly waitsForLayers?: boolean;
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
