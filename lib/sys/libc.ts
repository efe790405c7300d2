/**
 * The C library through Deno's foreign function interface: how each binding of this room is made,
 * called and checked.
 *
 * Each worker opens the library for itself.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
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

const core = bindLibc({
  __errno_location: { parameters: [], result: "pointer" },
  strerrorname_np: { parameters: ["i32"], result: "pointer", optional: true },
  strerror: { parameters: ["i32"], result: "pointer" },
});

/**
 * Make a system call: its result, or the negative `errno`.
 *
 * The runtime may make calls of its own in this thread between the call and the look at `errno`, for
 * example when it waits for a lock, and those leave their `errno` behind. A call that failed changed
 * nothing, so it is made again until two failures in a row have the same reason.
 *
 * @param call makes the call; it must be one that a failure leaves without effect
 */
export function attempt(call: () => number | bigint): number {
  let reason = 0;
  for (let count = 0; count < maxAttempts; count++) {
    const result = Number(call());
    if (result >= 0) return result;
    const next = errno();
    if (next === reason) break;
    reason = next;
  }
  return -reason;
}

const maxAttempts = 16;

/** Where this thread has its `errno`. Found beforehand: to look for it would change it. */
const errnoLocation = ((): Deno.UnsafePointerView => {
  const location = core.__errno_location();
  if (location === null) throw new Error("__errno_location gave no address");
  return new Deno.UnsafePointerView(location);
})();

/** `errno` of this thread, as far as nothing else was called since: see {@linkcode attempt}. */
export function errno(): number {
  return errnoLocation.getInt32();
}

/** Text as a {@linkcode CString}, in UTF-8. @throws {EnrootError} when it holds a NUL */
export function cstring(text: string): CString {
  if (text.includes("\0")) {
    throw new EnrootError("bad-name", `a name holds a NUL character: ${JSON.stringify(text)}`);
  }
  return new TextEncoder().encode(text + "\0");
}

/**
 * Make a system call that must not fail.
 *
 * @param name what it is called in the message
 * @param subject what it is about, for the message
 * @param call as for {@linkcode attempt}
 * @throws {SysError} when it fails
 */
export function checked(name: string, subject: string, call: () => number | bigint): number {
  const result = attempt(call);
  if (result >= 0) return result;
  throw new SysError(name, -result, subject);
}

function describeErrno(number: number): { name: string; text: string } {
  // glibc 2.32 added strerrorname_np.
  const name = core.strerrorname_np === null ? null : core.strerrorname_np(number);
  const text = core.strerror(number);
  return {
    name: name === null ? `E${number}` : Deno.UnsafePointerView.getCString(name),
    text: text === null ? `error ${number}` : Deno.UnsafePointerView.getCString(text),
  };
}
