/**
 * Capabilities of program files. Source: capabilities(7), "File capabilities"; linux/capability.h.
 *
 * @module
 */

import { AT, close, must, O, openAt, setXattr } from "./at.ts";
import { cstring } from "./libc.ts";

const bits = { CAP_SYS_ADMIN: 21 } as const;

/** Version 2, with the effective flag: whoever runs the program has the capability at once. */
const revisionAndFlags = 0x0200_0001;

/**
 * Give a program file one capability, permitted and effective, and no other.
 *
 * @param path the file itself, no symlink
 * @throws {SysError} when the caller may not, or the file system keeps none
 */
export function grantCapability(path: string, capability: keyof typeof bits): void {
  const value = new DataView(new ArrayBuffer(20));
  value.setUint32(0, revisionAndFlags, true);
  value.setUint32(4, 1 << bits[capability], true);
  const file = must(openAt(AT.FDCWD, cstring(path), O.RDONLY | O.NOFOLLOW), "open", path);
  try {
    const attribute = cstring("security.capability");
    must(setXattr(file, attribute, new Uint8Array(value.buffer)), "fsetxattr", path);
  } finally {
    close(file);
  }
}
