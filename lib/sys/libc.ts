/**
 * The C library through Deno's foreign function interface: how each binding of this room is made,
 * called and checked.
 *
 * All calls are synchronous, so `errno` is still that of the call when it is read. Each worker
 * opens the library for itself.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** A pathname or a name as the kernel sees it: bytes, ending in NUL. */
export type CString = Uint8Array<ArrayBuffer>;

/** A failed system call. */
export class SysError extends EnrootError {
  override readonly name = "SysError";

  /** The call, for example `openat2`. */
  readonly call: string;

  /** The error's number. */
  readonly errno: number;

  /** What it was called on, for messages. */
  readonly subject: string;

  constructor(call: string, errno: number, subject: string) {
    const { name, text } = describeErrno(errno);
    super(name, `${subject}: ${text} (${call})`);
    this.call = call;
    this.errno = errno;
    this.subject = subject;
  }
}

const core = Deno.dlopen("libc.so.6", {
  __errno_location: { parameters: [], result: "pointer" },
  strerrorname_np: { parameters: ["i32"], result: "pointer", optional: true },
  strerror: { parameters: ["i32"], result: "pointer" },
});

/** `errno` of this thread: only of use directly after a call that failed. */
export function errno(): number {
  const location = core.symbols.__errno_location();
  if (location === null) throw new Error("__errno_location gave no address");
  return new Deno.UnsafePointerView(location).getInt32();
}

/** Text as a {@linkcode CString}, in UTF-8. @throws {EnrootError} when it holds a NUL */
export function cstring(text: string): CString {
  if (text.includes("\0")) {
    throw new EnrootError("bad-name", `a name holds a NUL character: ${JSON.stringify(text)}`);
  }
  return new TextEncoder().encode(text + "\0");
}

/**
 * The result of a call that answers negative on failure.
 *
 * @param subject what the call was about, for the message
 * @throws {SysError} with the call's `errno`
 */
export function checked(call: string, result: number, subject: string): number {
  if (result >= 0) return result;
  throw new SysError(call, errno(), subject);
}

function describeErrno(number: number): { name: string; text: string } {
  // glibc 2.32 added strerrorname_np.
  const name = core.symbols.strerrorname_np === null ? null : core.symbols.strerrorname_np(number);
  const text = core.symbols.strerror(number);
  return {
    name: name === null ? `E${number}` : Deno.UnsafePointerView.getCString(name),
    text: text === null ? `error ${number}` : Deno.UnsafePointerView.getCString(text),
  };
}
