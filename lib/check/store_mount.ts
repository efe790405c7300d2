/**
 * How a store is mounted: what must have no effect in it, and be out of reach.
 *
 * @module
 */

import type { StoreLocation } from "../storage/zfs/store_dataset.ts";
import { AT, close, O, openAt } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";
import { mountFlagsOf, MS } from "../sys/mount.ts";
import { fail, type Finding, ok } from "./finding.ts";

const name = "store's mount";

/** Whether what users bring into a store, set-id programs and devices, is without effect. */
export function checkStoreMount({ path, dataset }: StoreLocation): Finding {
  const folder = openAt(AT.FDCWD, cstring(path), O.PATH | O.DIRECTORY);
  const flags = folder < 0 ? 0 : mountFlagsOf(folder, path);
  if (folder >= 0) close(folder);
  const wrong = [
    ...((flags & MS.NOSUID) === 0 ? ["set-id programs work"] : []),
    ...((flags & MS.NODEV) === 0 ? ["devices work"] : []),
    ...(hasSnapshotFolder(path) ? ["snapshots can be entered through .zfs"] : []),
  ];
  if (wrong.length === 0) return ok(name, "nosuid,nodev, without .zfs");
  return fail(
    name,
    `${dataset} is mounted so that ${wrong.join(", and ")}`,
    `as root, run: zfs set setuid=off ${dataset}; zfs set devices=off ${dataset}; ` +
      `zfs set snapdir=disabled ${dataset} (from OpenZFS 2.3 on)`,
  );
}

/** To look it up mounts nothing. */
function hasSnapshotFolder(path: string): boolean {
  const folder = openAt(AT.FDCWD, cstring(`${path}/.zfs`), O.PATH | O.NOFOLLOW);
  if (folder >= 0) close(folder);
  return folder >= 0;
}
