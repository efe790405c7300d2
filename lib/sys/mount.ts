/**
 * Mounts, by descriptor where a path could lead elsewhere.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { checked, type CString, cstring } from "./libc.ts";

/** `MS_*` flags of `sys/mount.h`. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  MOVE: 8192,
  REC: 16_384,
  SILENT: 32_768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

/** Lazy unmounting: what is in use goes when it no longer is. */
export const MNT_DETACH = 2;

/** Unmounting that does not follow a symlink in the place of the mount point. */
export const UMOUNT_NOFOLLOW = 8;

const libc = bindLibc({
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
  umount2: { parameters: ["buffer", "i32"], result: "i32" },
  fstatvfs: { parameters: ["i32", "buffer"], result: "i32" },
  chdir: { parameters: ["buffer"], result: "i32" },
  unshare: { parameters: ["i32"], result: "i32" },
  syscall: { parameters: ["i64", "buffer", "buffer"], result: "i64" },
});

const inThread = bindLibc({
  umount2: { parameters: ["buffer", "i32"], result: "i32", nonblocking: true },
});

function optional(text: string | undefined): CString | null {
  return text === undefined ? null : cstring(text);
}

/** One call of mount(2). */
export interface MountCall {
  readonly source?: string;
  readonly target: string;
  readonly type?: string;
  /** Of {@linkcode MS}. */
  readonly flags: number;
  /** What the file system itself understands, joined by commas. */
  readonly data?: string;
}

/** mount(2). @throws {SysError} */
export function mount({ source, target, type, flags, data }: MountCall, subject = target): void {
  checked(
    "mount",
    subject,
    () =>
      libc.mount(
        optional(source),
        cstring(target),
        optional(type),
        BigInt(flags),
        optional(data),
      ),
  );
}

/** umount2(2). @throws {SysError} */
export function unmount(target: string, flags = 0): void {
  checked("umount", target, () => libc.umount2(cstring(target), flags));
}

/**
 * The same, in a thread of its own: the kernel first writes what was written to the file system. This
 * thread goes on meanwhile, and must not leave its mount namespace.
 *
 * @throws {SysError}
 */
export async function unmountInThread(target: string, flags = 0): Promise<void> {
  const path = cstring(target);
  // The error's number is that thread's: what failed is done once more here.
  if (await inThread.umount2(path, flags) !== 0) unmount(target, flags);
}

/**
 * The flags that the mount of an open file has: a mount from another namespace keeps them, and a
 * remount that leaves one out is refused.
 *
 * @throws {SysError}
 */
export function mountFlagsOf(descriptor: number, subject: string): number {
  const buffer = new Uint8Array(256);
  checked("fstatvfs", subject, () => libc.fstatvfs(descriptor, buffer));
  // struct statvfs of glibc on 64-bit systems; ST_* and MS_* differ from the ninth bit on.
  const flags = Number(new DataView(buffer.buffer).getBigUint64(72, true));
  const same = flags & (MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME);
  return same | ((flags & 4096) === 0 ? 0 : MS.RELATIME);
}

const SYS_pivot_root = Deno.build.arch === "aarch64" ? 41n : 155n;

/**
 * Make a mount the root, and let go of the old one with everything mounted in it.
 *
 * @param root where the new root is mounted
 * @throws {SysError}
 */
export function pivotRoot(root: string): void {
  const dot = cstring(".");
  checked("chdir", root, () => libc.chdir(cstring(root)));
  // pivot_root(".", ".") stacks the old root on the new one: no folder is needed to put it in.
  checked("pivot_root", root, () => libc.syscall(SYS_pivot_root, dot, dot));
  checked("umount", "the old root", () => libc.umount2(dot, MNT_DETACH));
  checked("chdir", "/", () => libc.chdir(cstring("/")));
}

/** chdir(2), also where Deno would look at the path first. @throws {SysError} */
export function changeFolder(path: string): void {
  checked("chdir", path, () => libc.chdir(cstring(path)));
}

/** A cgroup namespace of this thread's own, and of what it executes. @throws {SysError} */
export function unshareCgroup(): void {
  const CLONE_NEWCGROUP = 0x0200_0000;
  checked("unshare", "the cgroup namespace", () => libc.unshare(CLONE_NEWCGROUP));
}
