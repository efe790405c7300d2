/**
 * Making the caller known inside a container: `/etc/passwd`, `/etc/group` and a home folder.
 *
 * This is done by the program and not by a hook: it is part of every start, and the files are the
 * image's, whose symlinks lead where they like.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { close, O } from "../sys/at.ts";
import { bindMount } from "../sys/bind_mount.ts";
import { MS } from "../sys/mount.ts";
import type { Rootfs } from "../sys/rootfs.ts";
import type { HostUser } from "./host_user.ts";
import { remount } from "./mounts.ts";
import { withGroups, withUser } from "./user_entries.ts";

/** Where skeleton files come from, as for useradd(8). */
const skeleton = "/etc/skel";

/** How much of a skeleton is followed: it is the image's. */
const skeletonDepth = 4;
const skeletonFiles = 200;

/** Who root is inside, where the caller is mapped to it. */
export const remappedRoot: HostUser = Object.freeze({
  name: "root",
  uid: 0,
  gid: 0,
  gecos: "root",
  home: "/root",
  shell: "/bin/sh",
  groups: Object.freeze([Object.freeze({ name: "root", gid: 0 })]),
});

/**
 * Make a user known in a container, in this mount namespace: edited copies of its passwd and group are
 * mounted over them, read-only, where they lack him. His home folder is made in the container, with
 * the container's skeleton in it, when it is not there; it stays there.
 *
 * The caller holds the lock on the root folder; its other mounts of `/etc` are in place.
 *
 * @param runtimePath a folder of this start alone, which the copies go to: `passwd`, `group`
 * @param warn told of what is done without, on a root folder that nothing can be made in
 */
export function addHostUser(
  rootfs: Rootfs,
  user: HostUser,
  runtimePath: string,
  warn: (message: string) => void,
): void {
  const attempt = (what: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      warn(`cannot make ${what} of ${user.name} in the container: ${reasonOf(error)}`);
    }
  };
  attempt("the entry in /etc/passwd", () => {
    const shell = shellIn(rootfs, user.shell);
    replace(rootfs, "passwd", runtimePath, (text) => withUser(text, user, shell));
  });
  attempt("the entry in /etc/group", () => {
    replace(rootfs, "group", runtimePath, (text) => withGroups(text, user));
  });
  // Root's home is part of an image, or it was left out on purpose.
  if (user.uid !== 0) attempt(`the home ${user.home}`, () => makeHome(rootfs, user.home));
}

function replace(
  rootfs: Rootfs,
  name: string,
  runtimePath: string,
  edit: (text: string) => string,
): void {
  const target = `/etc/${name}`;
  const text = rootfs.readText(target);
  const edited = edit(text ?? "");
  if (edited === text) return;
  const copy = `${runtimePath}/${name}`;
  Deno.writeTextFileSync(copy, edited, { createNew: true, mode: 0o644 });
  Deno.chmodSync(copy, 0o644);
  rootfs.create(target, "file");
  const flags = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC;
  rootfs.with(target, (path) => {
    const names = { source: copy, target };
    bindMount({ ...names, target: path }, names, (made) => remount(made, flags, 0, target));
  });
}

/** The user's own shell when the container has it. */
function shellIn(rootfs: Rootfs, wanted: string): string {
  const has = (path: string): boolean => ((rootfs.fileMode(path) ?? 0) & 0o111) !== 0;
  return [wanted, "/bin/bash"].find(has) ?? "/bin/sh";
}

function makeHome(rootfs: Rootfs, home: string): void {
  if (home === "/" || isThere(rootfs, home)) return;
  rootfs.create(home, "dir");
  rootfs.with(home, (path) => Deno.chmodSync(path, 0o700));
  copySkeleton(rootfs, skeleton, home, { depth: 0, files: 0 });
}

/** Copy folders and regular files; nothing that is there is written to, and no symlink followed. */
function copySkeleton(
  rootfs: Rootfs,
  from: string,
  to: string,
  count: { readonly depth: number; files: number },
): void {
  for (const { name, isFile, isDirectory } of namesIn(rootfs, from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (isDirectory && count.depth < skeletonDepth) {
      rootfs.create(target, "dir");
      const below = { depth: count.depth + 1, files: count.files };
      copySkeleton(rootfs, source, target, below);
      count.files = below.files;
    }
    const text = isFile && count.files++ < skeletonFiles ? rootfs.readText(source) : undefined;
    if (text === undefined) continue;
    rootfs.create(target, "file");
    rootfs.with(target, (path) => Deno.writeTextFileSync(path, text));
  }
}

function namesIn(rootfs: Rootfs, folder: string): Deno.DirEntry[] {
  const descriptor = rootfs.open(folder, O.RDONLY | O.DIRECTORY);
  if (descriptor < 0) return [];
  try {
    return [...Deno.readDirSync(`/proc/self/fd/${descriptor}`)];
  } finally {
    close(descriptor);
  }
}

function isThere(rootfs: Rootfs, path: string): boolean {
  const descriptor = rootfs.open(path, O.PATH);
  if (descriptor >= 0) close(descriptor);
  return descriptor >= 0;
}
