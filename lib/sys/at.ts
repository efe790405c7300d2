/**
 * Files by descriptor: the `…at` calls, for paths that must not be resolved by anybody's symlinks.
 *
 * Every function answers like a system call: what it gives, or the negative `errno`, because some
 * failures are part of the work (`EEXIST`); {@linkcode must} turns the others into errors. Names and
 * paths are C strings, so that names that are no UTF-8 are possible.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { attempt, type CString, errno, SysError } from "./libc.ts";

/** Numbers from `asm-generic/errno-base.h` that callers look for. */
export const E = {
  PERM: 1,
  NOENT: 2,
  IO: 5,
  TOOBIG: 7,
  BADF: 9,
  AGAIN: 11,
  ACCES: 13,
  EXIST: 17,
  XDEV: 18,
  NOTDIR: 20,
  ISDIR: 21,
  INVAL: 22,
  NOSPC: 28,
  ROFS: 30,
  RANGE: 34,
  OPNOTSUPP: 95,
} as const;

const arm = Deno.build.arch === "aarch64";

/** Open flags of `fcntl.h`; some differ by architecture. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  NONBLOCK: 0o4000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

/** `AT_*` flags of `fcntl.h`. */
export const AT = { FDCWD: -100, SYMLINK_NOFOLLOW: 0x100, REMOVEDIR: 0x200, EMPTY_PATH: 0x1000 };

/** File types in a mode, of `sys/stat.h`. */
export const S = {
  IFMT: 0o170000,
  IFDIR: 0o040000,
  IFREG: 0o100000,
  IFLNK: 0o120000,
  IFIFO: 0o010000,
  IFCHR: 0o020000,
  IFBLK: 0o060000,
} as const;

const call = bindLibc({
  syscall: { parameters: ["i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  mknodat: { parameters: ["i32", "buffer", "u32", "u64"], result: "i32", optional: true },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "isize" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  fchownat: { parameters: ["i32", "buffer", "u32", "u32", "i32"], result: "i32" },
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  fsetxattr: { parameters: ["i32", "buffer", "buffer", "usize", "i32"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
});

/**
 * The result of a call that must not fail.
 *
 * @throws {SysError} when it is negative
 */
export function must(result: number, name: string, subject: string): number {
  if (result >= 0) return result;
  throw new SysError(name, -result, subject);
}

const openHow = new BigUint64Array(3);
const openHowBytes = new Uint8Array(openHow.buffer);
// linux/openat2.h
const RESOLVE_NO_XDEV = 0x01n;
const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const RESOLVE_IN_ROOT = 0x10n;
const SYS_openat2 = 437n;

/**
 * openat2(2) with `RESOLVE_IN_ROOT`: the path, its `..` and its symlinks are resolved as if `root`
 * were `/`, whatever is renamed meanwhile. The descriptor closes on exec.
 */
export function openInRoot(root: number, path: CString, flags: number): number {
  return openAt2(root, path, flags, RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT);
}

/**
 * openat2(2) with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`: nothing on the path may be a symlink,
 * and nothing may lead out of the folder. The descriptor closes on exec.
 */
export function openBeneath(folder: number, path: CString, flags: number): number {
  return openAt2(folder, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/**
 * openat2(2) of one name, as {@linkcode openBeneath}, with `RESOLVE_NO_XDEV`: `EXDEV` when something is
 * mounted there, though it be of the same file system. The descriptor closes on exec.
 */
export function openSameMount(folder: number, name: CString, flags: number): number {
  const resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return openAt2(folder, name, flags, resolve);
}

/** How long `EAGAIN` is answered by trying again, in milliseconds. */
const patience = 10_000;

function openAt2(folder: number, path: CString, flags: number, resolve: bigint): number {
  openHow[0] = BigInt(flags | O.CLOEXEC);
  openHow[1] = 0n;
  openHow[2] = resolve;
  let deadline: number | undefined;
  for (;;) {
    const result = attempt(() =>
      call.syscall(SYS_openat2, BigInt(folder), path, openHowBytes, 24n)
    );
    // Of a path with `..` the kernel cannot tell where it led when anything was renamed or mounted
    // meanwhile, by anybody, anywhere: openat2(2) has the caller try again.
    if (result !== -E.AGAIN) return result;
    deadline ??= performance.now() + patience;
    if (performance.now() > deadline) return result;
  }
}

/** openat(2); the descriptor closes on exec. */
export function openAt(folder: number, name: CString, flags: number, mode = 0): number {
  return attempt(() => call.openat(folder, name, flags | O.CLOEXEC, mode));
}

/** close(2), of what was not written to: there is nothing that its failure could mean. */
export function close(descriptor: number): void {
  call.close(descriptor);
}

/**
 * close(2) of a file that was written: 0, or the negative `errno`. Some file systems, NFS for one, say
 * only here that they could not store what was written. The descriptor is closed either way.
 */
export function closeWritten(descriptor: number): number {
  // Once only: by a second time the number may be another file's.
  return call.close(descriptor) === 0 ? 0 : -(errno() || E.IO);
}

/** Write all of the bytes, at the file's position: 0, or the negative `errno`. */
export function writeAll(file: number, bytes: Uint8Array<ArrayBuffer>): number {
  let rest = bytes;
  while (rest.length > 0) {
    const written = attempt(() => call.write(file, rest, BigInt(rest.length)));
    if (written < 0) return written;
    rest = rest.subarray(written);
  }
  return 0;
}

/** ftruncate(2). */
export function truncate(file: number, size: number): number {
  return attempt(() => call.ftruncate(file, BigInt(size)));
}

/** lseek(2) from the beginning. */
export function seek(file: number, offset: number): number {
  return attempt(() => call.lseek(file, BigInt(offset), 0));
}

/** mkdirat(2). */
export function mkdirAt(folder: number, name: CString, mode: number): number {
  return attempt(() => call.mkdirat(folder, name, mode));
}

/** mknodat(2). @param device as makedev(3) gives it */
export function mknodAt(folder: number, name: CString, mode: number, device: bigint): number {
  // A function of its own since glibc 2.33.
  const { mknodat } = call;
  return mknodat === null ? -38 : attempt(() => mknodat(folder, name, mode, device));
}

/** linkat(2), not following a symlink at the end of the old path. */
export function linkAt(from: number, old: CString, to: number, name: CString): number {
  return attempt(() => call.linkat(from, old, to, name, 0));
}

/** symlinkat(2). */
export function symlinkAt(target: CString, folder: number, name: CString): number {
  return attempt(() => call.symlinkat(target, folder, name));
}

const linkBuffer = new Uint8Array(4096);

/** readlinkat(2): where a symlink points, or the negative `errno`. */
export function readLinkAt(folder: number, name: CString): Uint8Array<ArrayBuffer> | number {
  const size = BigInt(linkBuffer.length);
  const length = attempt(() => call.readlinkat(folder, name, linkBuffer, size));
  return length < 0 ? length : linkBuffer.slice(0, length);
}

/** unlinkat(2). @param flags 0, or `AT.REMOVEDIR` for a folder */
export function unlinkAt(folder: number, name: CString, flags = 0): number {
  return attempt(() => call.unlinkat(folder, name, flags));
}

/** fchmod(2), which the umask does not change. */
export function chmodFd(file: number, mode: number): number {
  return attempt(() => call.fchmod(file, mode));
}

/** fchmodat(2); it follows a symlink, so the name must be none. */
export function chmodAt(folder: number, name: CString, mode: number): number {
  return attempt(() => call.fchmodat(folder, name, mode, 0));
}

/** fchownat(2), not following a symlink. */
export function chownAt(
  folder: number,
  name: CString,
  uid: number,
  gid: number,
  flags = 0,
): number {
  return attempt(() => call.fchownat(folder, name, uid, gid, AT.SYMLINK_NOFOLLOW | flags));
}

const times = new BigInt64Array(4);
const timesBytes = new Uint8Array(times.buffer);

function setTimes(seconds: number, nanoseconds: number): Uint8Array<ArrayBuffer> {
  times[0] = times[2] = BigInt(seconds);
  times[1] = times[3] = BigInt(nanoseconds);
  return timesBytes;
}

/** Set both times of an open file. */
export function utimeFd(file: number, seconds: number, nanoseconds: number): number {
  return attempt(() => call.futimens(file, setTimes(seconds, nanoseconds)));
}

/** Set both times of a name, not following a symlink. */
export function utimeAt(
  folder: number,
  name: CString,
  seconds: number,
  nanoseconds: number,
): number {
  const when = setTimes(seconds, nanoseconds);
  return attempt(() => call.utimensat(folder, name, when, AT.SYMLINK_NOFOLLOW));
}

/** fsetxattr(2). */
export function setXattr(file: number, name: CString, value: Uint8Array<ArrayBuffer>): number {
  return attempt(() => call.fsetxattr(file, name, value, BigInt(value.length), 0));
}

/** What {@linkcode statAt} tells. */
export interface Stat {
  /** Type and permissions. */
  readonly mode: number;
  readonly inode: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** When anything about it last changed, nanoseconds since the epoch: nobody can set it. */
  readonly changed: bigint;
  /** The device number, both parts. */
  readonly device: bigint;
}

const statxBuffer = new Uint8Array(256);
const statxView = new DataView(statxBuffer.buffer);
const STATX_BASIC_STATS = 0x7ff;

/**
 * statx(2), not following a symlink; an empty name means the descriptor itself.
 *
 * @returns the facts, or the negative `errno`
 */
export function statAt(folder: number, name: CString): Stat | number {
  const flags = AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH;
  const result = attempt(() => call.statx(folder, name, flags, STATX_BASIC_STATS, statxBuffer));
  if (result < 0) return result;
  // linux/stat.h, struct statx; little-endian on every architecture that is supported.
  return {
    mode: statxView.getUint16(28, true),
    uid: statxView.getUint32(20, true),
    gid: statxView.getUint32(24, true),
    inode: statxView.getBigUint64(32, true),
    size: statxView.getBigUint64(40, true),
    seconds: Number(statxView.getBigInt64(112, true)),
    nanoseconds: statxView.getUint32(120, true),
    changed: statxView.getBigInt64(96, true) * 1_000_000_000n +
      BigInt(statxView.getUint32(104, true)),
    device: BigInt(statxView.getUint32(136, true)) << 32n | BigInt(statxView.getUint32(140, true)),
  };
}

/** flock(2). @param operation 2: exclusive, 6: exclusive without waiting, 8: unlock */
export function flock(file: number, operation: number): number {
  return attempt(() => call.flock(file, operation));
}

const direntBuffer = new Uint8Array(32_768);
const direntView = new DataView(direntBuffer.buffer);
const SYS_getdents64 = arm ? 61n : 217n;
const getdents = bindLibc({
  syscall: { parameters: ["i64", "i64", "buffer", "i64"], result: "i64" },
});

/**
 * The names in an open folder, without `.` and `..`, each a C string of its own; or the negative
 * `errno`. The whole list is in memory.
 */
export function namesIn(folder: number): CString[] | number {
  const rewound = seek(folder, 0);
  if (rewound < 0) return rewound;
  const names: CString[] = [];
  for (;;) {
    const length = attempt(() =>
      getdents.syscall(SYS_getdents64, BigInt(folder), direntBuffer, BigInt(direntBuffer.length))
    );
    if (length < 0) return length;
    if (length === 0) return names;
    // struct linux_dirent64: length at 16, name from 19 to its NUL.
    for (let at = 0; at < length;) {
      const size = direntView.getUint16(at + 16, true);
      const end = direntBuffer.indexOf(0, at + 19);
      const name = direntBuffer.slice(at + 19, end + 1);
      const isDots = name[0] === 46 && (name.length === 2 || name.length === 3 && name[1] === 46);
      if (!isDots) names.push(name);
      at += size;
    }
  }
}

/** The empty name: the descriptor itself, where a call takes it. */
export const itself: CString = new Uint8Array([0]);
