/**
 * What a container's own `/etc/fstab` may have mounted.
 *
 * It came with an image, or was written by what ran in the container. Importing writes the image's
 * volumes into it. What is to be had of the host is for the user and the administrator to say, by
 * `--mount` and the files in `mounts.d`.
 *
 * @module
 */

import { MS } from "../sys/mount.ts";
import type { MountEntry } from "./fstab.ts";

/** File systems that show nothing but what the kernel makes for the container. */
const kernelTypes: readonly string[] = [
  ...["tmpfs", "ramfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"],
];

/**
 * The lines that are followed: folders of the container mounted within it, and file systems of the
 * kernel. What is mounted from the container has neither set-id programs nor devices.
 *
 * @param rootfs the container's root folder, as sources begin with it
 * @param warn told of each line that is passed over
 */
export function ownEntries(
  entries: readonly MountEntry[],
  rootfs: string,
  warn: (message: string) => void,
): MountEntry[] {
  return entries.flatMap((entry) => {
    if (isKernels(entry)) return [entry];
    if (isOwnFolder(entry, rootfs)) {
      const safe = MS.NOSUID | MS.NODEV;
      return [{ ...entry, flags: entry.flags | safe, cleared: entry.cleared & ~safe }];
    }
    warn(
      `${entry.place}: ${entry.source} is not mounted on ${entry.target}: this file can mount folders ` +
        "of the container and file systems such as tmpfs; for others there are --mount and mounts.d",
    );
    return [];
  });
}

function isKernels({ type, flags, move, detach }: MountEntry): boolean {
  return kernelTypes.includes(type) && (flags & (MS.BIND | MS.REMOUNT)) === 0 && !move && !detach;
}

function isOwnFolder({ source, flags, move, detach }: MountEntry, rootfs: string): boolean {
  const isBind = (flags & MS.BIND) !== 0 && (flags & MS.REMOUNT) === 0;
  return isBind && !move && !detach && source.startsWith(`${rootfs}/`) &&
    // The root folder itself would hide all that is mounted in it.
    /[^/.]/.test(source.slice(rootfs.length));
}
