/**
 * Pipes inside this process: from one thread to another.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { checked } from "./libc.ts";
import { O } from "./at.ts";

const libc = bindLibc({
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
});

// linux/fcntl.h
const F_SETPIPE_SZ = 1031;

/** How much waits in a pipe for its reader, in bytes: what any user may have without asking. */
const capacity = 1 << 20;

/** A pipe's two ends: descriptors that close on exec, the caller's to close. */
export interface Pipe {
  readonly read: number;
  readonly write: number;
}

/** Make a pipe. @throws {SysError} when there are too many descriptors */
export function makePipe(): Pipe {
  const ends = new Int32Array(2);
  const bytes = new Uint8Array(ends.buffer);
  checked("pipe2", "a pipe", () => libc.pipe2(bytes, O.CLOEXEC));
  const [read = -1, write = -1] = ends;
  // Where a user has many of them it stays as small as it is, which is only slower.
  libc.fcntl(write, F_SETPIPE_SZ, capacity);
  return { read, write };
}
