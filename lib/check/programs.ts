/**
 * The programs that commands run.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { findProgram } from "../process/run.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** A program, what needs it, the Debian package that brings it, and whether all the rest is of no use without. */
type Row = readonly [program: string, use: string, from: string, isNeeded: boolean];

const always: readonly Row[] = [
  ["bash", "configuration, hooks, credentials", "bash", true],
  ["getent", "users that are not in /etc/passwd", "libc-bin", false],
  ["unsquashfs", "create", "squashfs-tools", true],
  ["mksquashfs", "import and export", "squashfs-tools", true],
];
const onFolders: readonly Row[] = [
  ["squashfuse", "start IMAGE", "squashfuse", false],
  ["fuse-overlayfs", "start IMAGE with ENROOT_NATIVE_OVERLAYFS=n", "fuse-overlayfs", false],
];
const onZfs: readonly Row[] = [
  ["zfs", "the zfs backend", "zfsutils-linux", true],
  ["ssh", "zfs:// images of other hosts", "openssh-client", false],
];

/**
 * Look for each program.
 *
 * @param find as {@linkcode findProgram}
 */
export function checkPrograms(
  backend: "dir" | "zfs",
  find: (program: string) => string = findProgram,
): Finding[] {
  const rows = [...always, ...backend === "zfs" ? onZfs : onFolders];
  return rows.map(([program, use, from, isNeeded]) => {
    try {
      return ok(program, find(program));
    } catch (error) {
      if (!(error instanceof EnrootError)) throw error;
      return (isNeeded ? fail : warn)(
        program,
        `not installed; it is for ${use}`,
        `install it: Debian's package ${from}`,
      );
    }
  });
}

/** The device of file systems in user space, which squashfuse and fuse-overlayfs need. */
export function checkFuse(path = "/dev/fuse"): Finding {
  try {
    Deno.openSync(path, { read: true, write: true }).close();
    return ok("fuse", path);
  } catch (error) {
    const isThere = !(error instanceof Deno.errors.NotFound);
    return warn(
      "fuse",
      `${path} ${isThere ? "cannot be opened" : "is missing"}; it is for start IMAGE`,
      isThere ? `as root, run: chmod 666 ${path}` : "as root, run: modprobe fuse",
    );
  }
}
