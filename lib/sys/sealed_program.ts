/**
 * Programs in sealed memory: what is executed where others may reach `/proc/PID/exe`.
 *
 * Whoever executes a file of a container may be made to execute itself again: `#!/proc/self/exe`, or a link
 * to it, and what runs then is the container's. It runs as the user, and so it could write to the file that
 * it was started from, which is the host's. A sealed file in memory nobody can write to, not even its owner.
 *
 * @module
 */

import { close, must, writeAll } from "./at.ts";
import { bindLibc } from "./bind.ts";
import { pointers } from "./exec.ts";
import { attempt, checked, cstring, SysError } from "./libc.ts";

const libc = bindLibc({
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fexecve: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
});

// linux/memfd.h, linux/fcntl.h, asm-generic/errno-base.h
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_EXEC = 16;
const F_ADD_SEALS = 1033;
const F_SEAL_ALL = 15;
const EINVAL = 22;

/**
 * Copy a program, which must be no script, into a sealed file.
 *
 * @returns its descriptor, which closes on exec; the caller's to close
 * @throws {SysError}, and what reading the file throws
 */
export function sealProgram(path: string): number {
  const content = Deno.readFileSync(path);
  const name = cstring(path.slice(path.lastIndexOf("/") + 1));
  const create = (flags: number): number =>
    attempt(() => libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  // Kernels before 6.3 do not know MFD_EXEC; later ones may be set up to insist on it.
  let file = create(MFD_EXEC);
  if (file === -EINVAL) file = create(0);
  must(file, "memfd_create", path);
  try {
    must(writeAll(file, content), "write", path);
    checked("fcntl", path, () => libc.fcntl(file, F_ADD_SEALS, F_SEAL_ALL));
    return file;
  } catch (error) {
    close(file);
    throw error;
  }
}

/**
 * Replace this process by a sealed program.
 *
 * @param file of {@linkcode sealProgram}; not open in the program
 * @param argv its arguments, its name first
 * @param environment its whole environment
 * @throws {SysError} when that fails; otherwise it never returns
 */
export function executeSealed(
  file: number,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  // What the pointers point to must outlive the call.
  const words = argv.map(cstring);
  const settings = Object.entries(environment).map(([name, value]) => cstring(`${name}=${value}`));
  const result = attempt(() => libc.fexecve(file, pointers(words), pointers(settings)));
  throw new SysError("fexecve", -result, argv[0] ?? "a program");
}
