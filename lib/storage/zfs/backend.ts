/**
 * Which store can send and receive.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { Store } from "../store.ts";
import { ZfsStore } from "./zfs_store.ts";

/**
 * The store as one on ZFS.
 *
 * @throws {EnrootError} code `no-zfs` when it is none
 */
export function zfsStoreOf(store: Store): ZfsStore {
  if (store instanceof ZfsStore) return store;
  throw new EnrootError(
    "no-zfs",
    "this host has no ZFS store for its containers, which a ZFS stream comes from or goes to: set " +
      "ENROOT_STORAGE_BACKEND=zfs, or use a squashfs file",
  );
}
