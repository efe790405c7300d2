/**
 * Renaming that never replaces.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { attempt, cstring, SysError } from "./libc.ts";

// renameat2(2) by number: glibc names it only from 2.28 on.
const numbers: Readonly<Record<string, number>> = { x86_64: 316, aarch64: 276 };
const number = numbers[Deno.build.arch];
const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const EINVAL = 22;
const ENOSYS = 38;

const libc = bindLibc({
  syscall: { parameters: ["i64", "i64", "buffer", "i64", "buffer", "u32"], result: "i64" },
});

/**
 * Rename a file or folder within its file system; fail when the new name is taken.
 *
 * Atomic, also against other processes; only on file systems without `RENAME_NOREPLACE` (NFS) a
 * look before the rename has to do.
 *
 * @throws {SysError} `EEXIST` when `to` exists, `EXDEV` across file systems, and the like
 */
export function renameNoReplace(from: string, to: string): void {
  if (number !== undefined) {
    const result = attempt(() =>
      libc.syscall(
        BigInt(number),
        BigInt(AT_FDCWD),
        cstring(from),
        BigInt(AT_FDCWD),
        cstring(to),
        RENAME_NOREPLACE,
      )
    );
    if (result >= 0) return;
    const failure = -result;
    if (failure !== EINVAL && failure !== ENOSYS) throw new SysError("renameat2", failure, to);
  }
  try {
    Deno.lstatSync(to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.renameSync(from, to);
    return;
  }
  throw new SysError("rename", 17, to);
}
