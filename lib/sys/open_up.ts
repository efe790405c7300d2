/**
 * Folders that their owner has closed to himself.
 *
 * Images come with them, made by root, who writes there all the same.
 *
 * @module
 */

import { itself, S, statAt } from "./at.ts";
import { SysError } from "./libc.ts";

/**
 * Let the owner of a folder read, enter and write it until this is disposed of.
 *
 * @param folder its descriptor, of any kind, which must stay open so long; it is the caller's own folder
 * @param subject what it is, for messages
 * @throws {SysError} when it cannot be looked at; what Deno throws when its mode cannot be changed
 */
export function openUp(folder: number, subject: string): Disposable {
  const found = statAt(folder, itself);
  if (typeof found === "number") throw new SysError("statx", -found, subject);
  const mode = found.mode & ~S.IFMT;
  if ((mode & 0o700) === 0o700) return { [Symbol.dispose]() {} };
  // fchmod(2) does not take a descriptor that was opened for its path only.
  const path = `/proc/self/fd/${folder}`;
  Deno.chmodSync(path, mode | 0o700);
  return { [Symbol.dispose]: () => Deno.chmodSync(path, mode) };
}
