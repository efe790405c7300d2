/**
 * Keeping other users out of a store.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { AT, close, itself, must, O, openAt, statAt } from "../../sys/at.ts";
import { cstring, SysError } from "../../sys/libc.ts";
import { mountFlagsOf, MS } from "../../sys/mount.ts";

const othersMayEnter = 0o011;

/**
 * Close a store's folder to everybody but the caller, if need be: what an image brings as a set-id
 * program is one of the caller, whom everybody who reaches it could become. On a mount that takes no
 * notice of set-id bits nothing needs to be done.
 *
 * A folder that is used for other things as well is not closed, but refused.
 *
 * @param mark a name that only a store has in it; an empty folder becomes one
 * @returns whether it was open until now
 * @throws {EnrootError} code `not-owner` when it belongs to another user, `open-store` when it is
 * open and was not made for this
 */
export function closeToOthers(path: string, mark: string): boolean {
  const folder = must(openAt(AT.FDCWD, cstring(path), O.PATH | O.DIRECTORY), "open", path);
  try {
    if ((mountFlagsOf(folder, path) & MS.NOSUID) !== 0) return false;
    const found = statAt(folder, itself);
    if (typeof found === "number") throw new SysError("statx", -found, path);
    if (found.uid !== Deno.uid()) {
      throw new EnrootError(
        "not-owner",
        `${path} belongs to user ${found.uid}, who could run set-id programs of images in it: set ` +
          "ENROOT_DATA_PATH to a folder of your own, or mount it with nosuid",
      );
    }
    if ((found.mode & othersMayEnter) === 0) return false;
    const opened = `/proc/self/fd/${folder}`;
    const names = [...Deno.readDirSync(opened)].map(({ name }) => name);
    if (names.length > 0 && !names.includes(mark)) {
      throw new EnrootError(
        "open-store",
        `other users can enter ${path}, and could run set-id programs of images in it: set ` +
          "ENROOT_DATA_PATH to a folder for containers alone, or close it with 'chmod 700'",
      );
    }
    Deno.chmodSync(opened, found.mode & 0o7700);
    return true;
  } finally {
    close(folder);
  }
}
