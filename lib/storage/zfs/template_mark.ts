/**
 * The mark of templates that root fills for other users.
 *
 * It is an attribute of the template's root folder, so that all clones have it. No user can set it: what
 * has it, and belongs to root, is a template of root's or what became of one, and `enroot-zfs-mount` shows
 * it to a user as his own (`helper/idmap.c`).
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { AT, close, must, O, openAt, setXattr } from "../../sys/at.ts";
import { cstring } from "../../sys/libc.ts";

const attribute = "trusted.enroot.template";

/**
 * Mark what is in a folder as a template.
 *
 * @param root the template's root folder, absolute
 * @throws {EnrootError} code `cannot-write`
 */
export function markTemplate(root: string, id: string): void {
  try {
    const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
    const folder = must(openAt(AT.FDCWD, cstring(root), flags), "open", root);
    try {
      must(setXattr(folder, cstring(attribute), new TextEncoder().encode(id)), "fsetxattr", root);
    } finally {
      close(folder);
    }
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot mark ${root} as a template for all users: ${
        reasonOf(error)
      }: the store of templates ` +
        "needs xattr=sa, and is filled by root",
      { cause: error },
    );
  }
}
