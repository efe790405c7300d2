/**
 * Whether datasets can be mounted with their owners shown as others.
 *
 * @module
 */

/**
 * What versions are needed. OpenZFS has them since 2.2, but the snapshots of what is mounted so can only be
 * put out of reach since 2.3 (helper/snapshots.h). Sources: mount_setattr(2), release notes of OpenZFS.
 */
const needed = { linux: [5, 12], zfs: [2, 3] } as const;

/**
 * Whether this kernel and its OpenZFS have idmapped mounts, by their versions. A kernel can have been
 * built without, or with what a later one has: whoever mounts finds out.
 */
export function hasIdmappedMounts(
  linux: string = Deno.osRelease(),
  zfs: string = zfsVersion(),
): boolean {
  return isFrom(linux, needed.linux) && isFrom(zfs, needed.zfs);
}

/** Whether a version is this one or a later one; what is no version may be. */
function isFrom(text: string, [major, minor]: readonly [number, number]): boolean {
  const [, first, second] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (first === undefined || second === undefined) return true;
  return Number(first) > major || Number(first) === major && Number(second) >= minor;
}

function zfsVersion(): string {
  try {
    return Deno.readTextFileSync("/sys/module/zfs/version");
  } catch {
    return "";
  }
}
