/**
 * What a plain user must be allowed on his store, and how an administrator allows it.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** The permissions of zfs-allow(8) that all commands together need. */
export const permissions: readonly string[] = [
  ...["create", "mount", "clone", "destroy", "snapshot", "rename", "promote", "receive", "send"],
  ...["readonly", "hold", "release", "canmount", "userprop"],
];

/** The command that delegates a store to its owner. */
export function allowCommand({ dataset, owner }: StoreLocation): string {
  return `zfs allow -u ${owner} ${permissions.join(",")} ${dataset}`;
}

/** The error as it is, or, when ZFS refused permission, with the command that gives it. */
export function explain(error: unknown, store: StoreLocation): unknown {
  if (!(error instanceof ZfsError) || error.reason !== "permission") return error;
  return new EnrootError(
    "not-delegated",
    `${error.message}: as root, run: ${
      /must be run as root/.test(error.message)
        ? "chmod 666 /dev/zfs (and keep it so by a udev rule)"
        : allowCommand(store)
    }`,
    { cause: error },
  );
}
