/**
 * Becoming another program.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { attempt, checked, type CString, cstring, SysError } from "./libc.ts";

const libc = bindLibc({
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32", optional: true },
  syscall: { parameters: ["i64", "i64", "buffer", "usize", "usize"], result: "i64" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  prlimit: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
});

const SIGPIPE = 13;
const SIGCHLD = 17;
const SIG_DFL = 0n;
const SIG_IGN = 1n;
const RLIMIT_NOFILE = 7;
const SYS_rt_sigaction = Deno.build.arch === "aarch64" ? 134n : 13n;

/**
 * Replace this process by a program: same PID, same descriptors but those that close on exec.
 *
 * @param path the program, absolute
 * @param argv its arguments, its name first
 * @param environment its whole environment
 * @throws {SysError} when that fails; otherwise it never returns
 */
export function execve(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // What the pointers point to must outlive the call.
  const words = argv.map(cstring);
  const settings = variables.map(cstring);
  const result = attempt(() => libc.execve(cstring(path), pointers(words), pointers(settings)));
  throw new SysError("execve", -result, path);
}

/**
 * Put back what the runtime changed of the process, just before it becomes another program.
 *
 * Handlers go by themselves; what was ignored must be ignored again, and SIGPIPE, which the runtime
 * ignores, must not be.
 *
 * @param ignoredSignals the signals that the caller ignored
 * @param softNofile the caller's soft limit of open files; `undefined`: not known, left as it is
 */
export function restoreCallerState(
  ignoredSignals: ReadonlySet<number>,
  softNofile: number | undefined,
): void {
  if (!ignoredSignals.has(SIGPIPE)) setDisposition(SIGPIPE, SIG_DFL);
  for (const signal of ignoredSignals) setDisposition(signal, SIG_IGN);
  if (softNofile === undefined) return;
  const limit = new BigUint64Array(2);
  const bytes = new Uint8Array(limit.buffer);
  if (libc.prlimit(0, RLIMIT_NOFILE, null, bytes) < 0) return;
  limit[0] = BigInt(softNofile) < (limit[1] ?? 0n) ? BigInt(softNofile) : limit[1] ?? 0n;
  libc.prlimit(0, RLIMIT_NOFILE, bytes, null);
}

/**
 * Let the end of children be noticed: where SIGCHLD is ignored the kernel forgets how they ended. A handler
 * of the runtime stays; {@linkcode restoreCallerState} puts it back.
 */
export function noticeChildren(): void {
  const action = new BigUint64Array(4);
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(action.buffer)));
  libc.syscall(SYS_rt_sigaction, BigInt(SIGCHLD), null, BigInt(address), 8n);
  if (action[0] === SIG_IGN) setDisposition(SIGCHLD, SIG_DFL);
}

/**
 * A file in memory that outlives execve(2): its number is for the next program.
 *
 * @throws {SysError}
 */
export function createMemoryFile(name: string): number {
  return checked("memfd_create", name, () => libc.memfd_create?.(cstring(name), 0) ?? -1);
}

/** Let a descriptor stay open in the next program. @throws {SysError} */
export function keepOnExec(descriptor: number): void {
  const F_SETFD = 2;
  checked("fcntl", `descriptor ${descriptor}`, () => libc.fcntl(descriptor, F_SETFD, 0));
}

/** Let a descriptor close in the next program. @throws {SysError} */
export function closeOnExec(descriptor: number): void {
  const F_SETFD = 2;
  const FD_CLOEXEC = 1;
  checked("fcntl", `descriptor ${descriptor}`, () => libc.fcntl(descriptor, F_SETFD, FD_CLOEXEC));
}

/** By system call: the C library keeps some signals for itself, and a caller may ignore those too. */
function setDisposition(signal: number, handler: bigint): void {
  // struct sigaction of the kernel: handler, flags, restorer, mask.
  const action = new BigUint64Array([handler, 0n, 0n, 0n]);
  const maskSize = 8n;
  const bytes = new Uint8Array(action.buffer);
  libc.syscall(SYS_rt_sigaction, BigInt(signal), bytes, 0n, maskSize);
}

/** An array of pointers to strings, which must outlive it; it ends with a null pointer. */
export function pointers(strings: readonly CString[]): Uint8Array<ArrayBuffer> {
  const values = new BigUint64Array(strings.length + 1);
  for (const [index, text] of strings.entries()) {
    values[index] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)));
  }
  return new Uint8Array(values.buffer);
}
