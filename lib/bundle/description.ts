/**
 * What a bundle says of itself.
 *
 * @module
 */

import type { DiffId, Digest } from "../oci/digest.ts";
import type { ConfigFile } from "./configuration.ts";

/** The file that it is in, in the folder that a bundle unpacks to. */
export const descriptionName = "bundle.json";

/** A bundle. */
export interface Description {
  /** What it was made of: a name, or a file's. */
  readonly image: string;
  readonly text?: string;
  /** When it was made, RFC 3339. */
  readonly created: string;
  /** The machine it runs on, by the kernel's name. */
  readonly architecture: string;
  /** The version of the program in it. */
  readonly version: string;
  /** Where `--keep` puts the root filesystem; absent: a folder named like the bundle. */
  readonly target?: string;
  /** Its root filesystem: a tar, compressed by zstd. */
  readonly rootfs: {
    readonly digest: Digest;
    readonly diffId: DiffId;
    readonly size: number;
    readonly tarSize: number;
  };
  readonly isChecked: boolean;
  /** The configuration that it starts with. */
  readonly configuration: readonly ConfigFile[];
}
