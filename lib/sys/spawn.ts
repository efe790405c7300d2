/**
 * Running programs without the runtime's own machinery for it, whose first use takes longer than a program
 * that is soon over.
 *
 * @module
 */

import { close, must } from "./at.ts";
import { bindLibc } from "./bind.ts";
import { pointers } from "./exec.ts";
import { attempt, checked, type CString, cstring, SysError } from "./libc.ts";

const libc = bindLibc({
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_addopen: {
    parameters: ["buffer", "i32", "buffer", "i32", "u32"],
    result: "i32",
  },
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
});
const inThread = bindLibc({
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32", nonblocking: true },
});

/** How a program ended: one of the two. */
export type End =
  | { readonly exitCode: number; readonly signal?: undefined }
  | { readonly signal: number; readonly exitCode?: undefined };

// spawn.h, signal.h, asm-generic/errno-base.h
const POSIX_SPAWN_SETSIGDEF = 4;
const SIGPIPE = 13;
const EINTR = 4;
const ECHILD = 10;
const MFD_CLOEXEC = 1;

/** More than glibc's `posix_spawnattr_t` and `posix_spawn_file_actions_t` on any architecture. */
const objectSize = 512;
const sigsetSize = 128;

/**
 * Run a program to its end. It has nothing to read, writes what it prints to standard error, and gets
 * every descriptor that does not close on exec; SIGPIPE, which the runtime ignores, is as usual for it.
 * The thread is blocked meanwhile.
 *
 * @param path the program, absolute; a script needs an interpreter line
 * @param argv its arguments, its name first
 * @param environment its whole environment
 * @throws {SysError} when it cannot be started
 */
export function runToEnd(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): End {
  return waitFor(spawn(path, argv, environment, { stdout: 2, stderr: 2 }), path);
}

/**
 * Run a program to its end, like {@linkcode runToEnd}, for what it prints, which is kept in memory. The
 * thread is free meanwhile.
 *
 * @throws {SysError} when it cannot be started, or its end is not noticed
 */
export async function collectOutput(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<End & { readonly stdout: Uint8Array; readonly stderr: Uint8Array }> {
  using stack = new DisposableStack();
  const file = (name: string): number =>
    stack.adopt(
      checked("memfd_create", name, () => libc.memfd_create(cstring(name), MFD_CLOEXEC)),
      close,
    );
  const [stdout, stderr] = [file("stdout"), file("stderr")];
  const pid = spawn(path, argv, environment, { stdout, stderr });
  const status = new Int32Array(1);
  const result = await inThread.waitpid(pid, new Uint8Array(status.buffer), 0);
  if (result !== pid) throw new SysError("waitpid", ECHILD, path);
  const content = (descriptor: number): Uint8Array =>
    Deno.readFileSync(`/proc/self/fd/${descriptor}`);
  return { ...endOf(status), stdout: content(stdout), stderr: content(stderr) };
}

function spawn(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  { stdout, stderr }: { readonly stdout: number; readonly stderr: number },
): number {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // What the pointers point to must outlive the call.
  const words: readonly CString[] = argv.map(cstring);
  const settings: readonly CString[] = variables.map(cstring);
  const actions = new Uint8Array(objectSize);
  const attributes = new Uint8Array(objectSize);
  const signals = new Uint8Array(sigsetSize);
  const check = (failure: number): void => {
    if (failure !== 0) throw new SysError("posix_spawn", failure, path);
  };
  const pid = new Int32Array(1);
  check(libc.posix_spawn_file_actions_init(actions));
  try {
    check(libc.posix_spawn_file_actions_addopen(actions, 0, cstring("/dev/null"), 0, 0));
    check(libc.posix_spawn_file_actions_adddup2(actions, stdout, 1));
    if (stderr !== 2) check(libc.posix_spawn_file_actions_adddup2(actions, stderr, 2));
    check(libc.posix_spawnattr_init(attributes));
    signals[SIGPIPE - 1 >> 3] = 1 << (SIGPIPE - 1 & 7);
    check(libc.posix_spawnattr_setsigdefault(attributes, signals));
    check(libc.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF));
    check(
      libc.posix_spawn(
        new Uint8Array(pid.buffer),
        cstring(path),
        actions,
        attributes,
        pointers(words),
        pointers(settings),
      ),
    );
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
  }
  return pid[0] ?? 0;
}

function waitFor(pid: number, path: string): End {
  const status = new Int32Array(1);
  const bytes = new Uint8Array(status.buffer);
  let result;
  do result = attempt(() => libc.waitpid(pid, bytes, 0)); while (result === -EINTR);
  must(result, "waitpid", path);
  return endOf(status);
}

function endOf(status: Int32Array): End {
  // sys/wait.h: the signal in the low seven bits, the exit code in the next eight.
  const [value = 0] = status;
  const signal = value & 0x7f;
  return signal === 0 ? { exitCode: value >> 8 & 0xff } : { signal };
}
