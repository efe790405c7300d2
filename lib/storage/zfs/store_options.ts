/**
 * What a store on ZFS is opened with, and what its parts share.
 *
 * @module
 */

import type { Zfs } from "../../zfs/zfs.ts";
import type { Builder } from "./builder.ts";
import type { Layout } from "./layout.ts";
import type { Mounter } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** How a store is opened. */
export interface ZfsStoreOptions {
  /** Told of what went wrong beside the work. */
  readonly warn: (message: string) => void;
  /** Keep the layers of images apart, and share them between images. */
  readonly layerChain?: boolean;
  /** How long templates are kept that are not used, in seconds; by default for ever. */
  readonly warmSeconds?: number;
  /** How full a quota may be before those that are not used go, from 0 to 1. */
  readonly threshold?: number;
  /** For a user: the dataset of the store of templates that root fills for all; absent: there is none. */
  readonly templateStore?: string | undefined;
  /** For root: whether this is that store. */
  readonly isShared?: boolean;
  readonly zfs?: Zfs;
  readonly uid?: number;
}

/** What other parts of this backend work with, which are loaded when they are needed. */
export interface StoreParts {
  readonly location: StoreLocation;
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly builder: Builder;
  readonly warn: (message: string) => void;
}
