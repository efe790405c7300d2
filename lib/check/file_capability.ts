/**
 * Whether a program file has a capability. Source: capabilities(7), "File capabilities";
 * linux/capability.h, `struct vfs_cap_data`.
 *
 * @module
 */

import { bindLibc } from "../sys/bind.ts";
import { attempt, cstring } from "../sys/libc.ts";

const libc = bindLibc({
  getxattr: { parameters: ["buffer", "buffer", "buffer", "usize"], result: "isize" },
});

/** Numbers of capabilities. */
export const capabilities = { CAP_SYS_ADMIN: 21 } as const;

/** Whether whoever runs the file may have the capability; no file, or none that can be read, has none. */
export function fileHasCapability(path: string, capability: keyof typeof capabilities): boolean {
  const value = new Uint8Array(64);
  const length = attempt(() =>
    libc.getxattr(cstring(path), cstring("security.capability"), value, BigInt(value.length))
  );
  return length > 0 && hasCapability(value.subarray(0, length), capabilities[capability]);
}

/** Whether a value of `security.capability`, of version 2 or 3, permits a capability. */
export function hasCapability(value: Uint8Array<ArrayBuffer>, number: number): boolean {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (view.byteLength < 20) return false;
  const version = view.getUint32(0, true) >>> 24;
  if (version !== 2 && version !== 3) return false;
  // Two halves of 32 bits, each a permitted and an inheritable set.
  const permitted = view.getUint32(number < 32 ? 4 : 12, true);
  return (permitted >>> (number % 32) & 1) === 1;
}
