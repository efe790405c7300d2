/**
 * Temporary files that nobody has to remove.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { AT, must, O, openAt } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";

// asm-generic/fcntl.h; of no use without the flag for folders.
const O_TMPFILE = 0o20000000 | O.DIRECTORY;

/**
 * Make a file without a name: reachable by its descriptor only, so nothing is left behind however the
 * process ends.
 *
 * @param folder `ENROOT_TEMP_PATH`
 * @param prefix of the name that it has for a moment where the file system knows only files with one
 * @returns its descriptor, open for reading and writing; the caller's to close
 * @throws {EnrootError} code `cannot-write` when the folder takes no files
 */
export function openTempFile(folder: string, prefix: string): number {
  const unnamed = openAt(AT.FDCWD, cstring(folder), O_TMPFILE | O.RDWR, 0o600);
  if (unnamed >= 0) return unnamed;
  try {
    const name = Deno.makeTempFileSync({ dir: folder, prefix });
    const file = openAt(AT.FDCWD, cstring(name), O.RDWR);
    Deno.removeSync(name);
    return must(file, "open", name);
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot make a temporary file in ${folder}: ${
        reasonOf(error)
      }: ENROOT_TEMP_PATH names another`,
      { cause: error },
    );
  }
}
