/**
 * Writing generated files into a root filesystem that came out of an image: its `/etc` may be a
 * symlink to anywhere, and so may the files.
 *
 * @module
 */

import {
  AT,
  chmodFd,
  close,
  E,
  itself,
  mkdirAt,
  must,
  O,
  openAt,
  openInRoot,
  statAt,
  utimeFd,
  writeAll,
} from "../sys/at.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { openUp } from "../sys/open_up.ts";
import { removeTreeAt } from "../sys/remove_tree.ts";
import type { RootfsFile } from "./rootfs_files.ts";

/**
 * Write files into `/etc` of a root filesystem, replacing what has their names there.
 *
 * Nothing outside the root folder is touched, whatever symlinks it holds. The folder `/etc` is made
 * when it is missing, and keeps the time it had.
 *
 * @param root the root folder, absolute
 * @param time the files' time, seconds since the epoch
 * @throws {SysError} when one cannot be written
 */
export function writeRootfsFiles(root: string, files: readonly RootfsFile[], time: number): void {
  using open = new DisposableStack();
  const use = (descriptor: number, what: string): number => {
    const checked = must(descriptor, "open", `${root}${what}`);
    open.defer(() => close(checked));
    return checked;
  };
  const place = use(openAt(AT.FDCWD, cstring(root), O.PATH | O.DIRECTORY), "");
  const placeStat = statAt(place, itself);
  // A folder that its owner may not write is one in which root's images put files all the same.
  open.use(openUp(place, root));
  const top = use(openAt(place, cstring("."), O.RDONLY | O.DIRECTORY), "");
  const made = mkdirAt(top, cstring("etc"), 0o755);
  if (made !== -E.EXIST) must(made, "mkdir", `${root}/etc`);
  if (made >= 0 && typeof placeStat === "object") {
    utimeFd(top, placeStat.seconds, placeStat.nanoseconds);
  }
  const etcPlace = use(openInRoot(top, cstring("etc"), O.PATH | O.DIRECTORY), "/etc");
  open.use(openUp(etcPlace, `${root}/etc`));
  const etc = use(openAt(etcPlace, cstring("."), O.RDONLY | O.DIRECTORY), "/etc");
  if (made >= 0) must(utimeFd(etc, 0, 0), "utimensat", `${root}/etc`);
  const before = statAt(etc, itself);
  if (typeof before === "number") throw new SysError("statx", -before, `${root}/etc`);

  for (const { name, content, mode } of files) {
    const path = `/etc/${name}`;
    removeTreeAt(etc, cstring(name), `${root}${path}`);
    const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
    const file = use(openAt(etc, cstring(name), flags, 0o600), path);
    must(writeAll(file, new TextEncoder().encode(content)), "write", `${root}${path}`);
    must(chmodFd(file, mode), "chmod", `${root}${path}`);
    must(utimeFd(file, time, 0), "utimensat", `${root}${path}`);
  }
  must(utimeFd(etc, before.seconds, before.nanoseconds), "utimensat", `${root}/etc`);
}
