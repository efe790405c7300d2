/**
 * Removing a tree.
 *
 * @module
 */

import {
  AT,
  chmodAt,
  chmodFd,
  close,
  E,
  itself,
  must,
  namesIn,
  O,
  openAt,
  openSameMount,
  S,
  type Stat,
  statAt,
  unlinkAt,
} from "./at.ts";
import { type CString, cstring, SysError } from "./libc.ts";

const parentName = cstring("..");
const folderFlags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;

/** A folder on the way down: what is left to remove in it, and how it is called from above. */
interface Level {
  readonly name: CString;
  readonly inode: bigint;
  readonly left: CString[];
}

/**
 * Remove whatever a path names, with everything below it; nothing happens when it is not there.
 *
 * Symlinks are removed, not followed, and folders that their owner may not read, write or enter are
 * opened up first. What is mounted below is never touched. One descriptor is open at a time, so depth
 * has no limit but memory.
 *
 * @param path a file or folder; the path itself is resolved as usual up to its last part
 * @throws {SysError} when something cannot be removed; what came before it is gone. What is a mount
 * point is named.
 */
export function removeTree(path: string): void {
  const at = path.lastIndexOf("/");
  const folder = at < 0 ? "." : path.slice(0, at) || "/";
  const parent = openAt(AT.FDCWD, cstring(folder), O.RDONLY | O.DIRECTORY);
  if (parent === -E.NOENT) return;
  must(parent, "open", folder);
  try {
    removeTreeAt(parent, cstring(path.slice(at + 1)), path);
  } finally {
    close(parent);
  }
}

/**
 * Remove what a name in an open folder names, with everything below it; nothing happens when it is
 * not there.
 *
 * @param subject what it is called in messages
 * @param onStep called before each removal in a folder; what it throws ends the work
 * @throws {SysError} as {@linkcode removeTree}
 */
export function removeTreeAt(
  parent: number,
  name: CString,
  subject: string,
  onStep: () => void = () => {},
): void {
  if (!removeFile(parent, name, subject)) return;
  const levels: Level[] = [];
  let folder = descend(parent, name, levels, subject);
  try {
    for (;;) {
      const level = levels.at(-1);
      if (level === undefined) return;
      onStep();
      const next = level.left.pop();
      if (next !== undefined) {
        if (removeFile(folder, next, subject)) {
          const below = descend(folder, next, levels, subject);
          close(folder);
          folder = below;
        }
        continue;
      }
      levels.pop();
      const above = levels.at(-1);
      const up = above === undefined ? undefined : ascend(folder, above, subject);
      close(folder);
      folder = up ?? -1;
      const result = unlinkAt(up ?? parent, level.name, AT.REMOVEDIR);
      if (result !== -E.NOENT) must(result, "rmdir", subject);
    }
  } finally {
    if (folder >= 0) close(folder);
  }
}

/** Remove a name that is no folder. @returns whether it is a folder */
function removeFile(folder: number, name: CString, subject: string): boolean {
  const result = unlinkAt(folder, name);
  if (result >= 0 || result === -E.NOENT) return false;
  // What unlink(2) says of a folder differs: EISDIR on Linux, EPERM in POSIX.
  if (result === -E.ISDIR || result === -E.PERM) {
    const found = statAt(folder, name);
    if (found === -E.NOENT) return false;
    if (typeof found === "object" && (found.mode & S.IFMT) === S.IFDIR) return true;
  }
  throw new SysError("unlink", -result, subject);
}

function descend(parent: number, name: CString, levels: Level[], subject: string): number {
  let folder = openSameMount(parent, name, folderFlags);
  if (folder === -E.ACCES) {
    openUp(parent, name, subject);
    folder = openSameMount(parent, name, folderFlags);
  }
  if (folder === -E.XDEV) throw mounted(name, levels, subject);
  must(folder, "open", subject);
  try {
    const found = facts(folder, subject);
    if ((found.mode & 0o700) !== 0o700) must(chmodFd(folder, 0o700), "chmod", subject);
    const left = namesIn(folder);
    if (typeof left === "number") throw new SysError("getdents", -left, subject);
    levels.push({ name, inode: found.inode, left });
    return folder;
  } catch (error) {
    close(folder);
    throw error;
  }
}

/** Let its owner enter a folder: by a descriptor, for the name can become that of a symlink. */
function openUp(parent: number, name: CString, subject: string): void {
  const folder = must(openSameMount(parent, name, O.PATH | O.DIRECTORY), "open", subject);
  try {
    // fchmod(2) takes no O_PATH.
    const itsName = cstring(`/proc/self/fd/${folder}`);
    must(chmodAt(AT.FDCWD, itsName, 0o700), "chmod", subject);
  } finally {
    close(folder);
  }
}

function mounted(name: CString, levels: readonly Level[], subject: string): SysError {
  // The first level is what the subject names.
  const below = [...levels.map((level) => level.name), name].slice(1);
  const path = below.map((each) => `/${new TextDecoder().decode(each.subarray(0, -1))}`).join("");
  return new SysError("open", E.XDEV, `${subject}${path}, a mount point that was not emptied`);
}

/** Back to the folder above, if it still is the one that was left: somebody may have moved things. */
function ascend(folder: number, above: Level, subject: string): number {
  const up = must(openAt(folder, parentName, folderFlags), "open", subject);
  if (facts(up, subject).inode === above.inode) return up;
  close(up);
  throw new SysError("open", E.NOENT, `${subject} was moved while it was removed`);
}

function facts(folder: number, subject: string): Stat {
  const found = statAt(folder, itself);
  if (typeof found === "number") throw new SysError("statx", -found, subject);
  return found;
}
