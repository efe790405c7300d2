/**
 * The container's root folder by descriptor: everything in it is resolved inside it, because its
 * symlinks are the image's.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import {
  AT,
  close,
  E,
  itself,
  mkdirAt,
  must,
  O,
  openAt,
  openInRoot,
  S,
  statAt,
  utimeAt,
} from "./at.ts";
import { bindLibc } from "./bind.ts";
import { attempt, cstring, SysError } from "./libc.ts";
import { openUp } from "./open_up.ts";

/** How many symlinks a path may lead through, as in the kernel. */
const maxLinks = 40;

/** The most bytes that are read of a configuration file inside a container. */
const maxText = 16 << 20;

/** A root folder, opened. Disposing of it closes it. */
export class Rootfs implements Disposable {
  readonly path: string;
  readonly #descriptor: number;

  /** @throws {SysError} when it cannot be opened */
  constructor(path: string) {
    this.path = path;
    const flags = O.PATH | O.DIRECTORY | O.NOFOLLOW;
    this.#descriptor = must(openAt(AT.FDCWD, cstring(path), flags), "open", path);
  }

  [Symbol.dispose](): void {
    close(this.#descriptor);
  }

  /** Open a path inside; the caller closes it. @returns the descriptor, or the negative `errno` */
  open(path: string, flags: number): number {
    return openInRoot(this.#descriptor, cstring(path), flags);
  }

  /**
   * Use what a path inside names.
   *
   * @param use is given a path that leads to it and to nothing else while it runs
   * @throws {SysError} when it cannot be opened
   */
  with<T>(path: string, use: (safePath: string) => T): T {
    const descriptor = must(this.open(path, O.PATH), "openat2", path);
    try {
      return use(`/proc/self/fd/${descriptor}`);
    } finally {
      close(descriptor);
    }
  }

  /**
   * A file's text; `undefined` when there is no such file, or none that is readable.
   *
   * @throws {EnrootError} code `too-large` beyond 16 MiB: a part of it would say something else
   */
  readText(path: string): string | undefined {
    const descriptor = this.open(path, O.RDONLY | O.NONBLOCK);
    if (descriptor < 0) return undefined;
    try {
      const found = statAt(descriptor, itself);
      if (typeof found === "number" || (found.mode & S.IFMT) !== S.IFREG) return undefined;
      // A link of the container's may lead to the kernel's answers about this very process.
      if (isOfKernel(descriptor)) return undefined;
      using file = Deno.openSync(`/proc/self/fd/${descriptor}`);
      // Another process may make it longer meanwhile, and some file systems tell no size.
      let bytes = new Uint8Array(Math.min(Math.max(Number(found.size), 4096), maxText) + 1);
      let length = 0;
      for (let read; (read = file.readSync(bytes.subarray(length)));) {
        length += read;
        if (length > maxText) {
          throw new EnrootError("too-large", `${path} in the container is larger than 16 MiB`);
        }
        if (length < bytes.length) continue;
        const larger = new Uint8Array(Math.min(2 * length, maxText + 1));
        larger.set(bytes);
        bytes = larger;
      }
      return new TextDecoder().decode(bytes.subarray(0, length));
    } finally {
      close(descriptor);
    }
  }

  /** Whether a path inside is a regular file, and what its permissions are. */
  fileMode(path: string): number | undefined {
    const descriptor = this.open(path, O.PATH);
    if (descriptor < 0) return undefined;
    const found = statAt(descriptor, itself);
    close(descriptor);
    if (typeof found === "number" || (found.mode & S.IFMT) !== S.IFREG) return undefined;
    return found.mode & 0o7777;
  }

  /**
   * Make a folder or an empty file where a path leads, when nothing is there: the folders above it
   * too, and the target of a symlink that dangles. A folder that its owner may not write is no
   * obstacle to him.
   *
   * What is made has the time 0 and the folder it is in keeps its own: the same image makes the same
   * tree, whenever that is.
   *
   * @throws {EnrootError} when something is in the way
   */
  create(path: string, kind: "dir" | "file"): void {
    using opened = new DisposableStack();
    let ahead = normalize(path);
    let parent = "";
    for (let links = 0, at = 0; at < ahead.length; at++) {
      const name = ahead[at] ?? "";
      const isLast = at === ahead.length - 1;
      // Only a symlink brings one; the kernel knows what is above what it leads to.
      const link = name === ".."
        ? undefined
        : this.#createOne(parent, name, isLast ? kind : "dir", opened);
      if (link === undefined) {
        parent += `/${name}`;
        continue;
      }
      if (++links > maxLinks) {
        throw new EnrootError("bad-target", `${path}: too many symlinks in the container`);
      }
      if (link.startsWith("/")) parent = "";
      ahead = [...partsOf(link), ...ahead.slice(at + 1)];
      at = -1;
    }
  }

  /**
   * @param opened takes what is undone when all is made
   * @returns the target of a dangling symlink that is in the way
   */
  #createOne(
    parent: string,
    name: string,
    kind: "dir" | "file",
    opened: DisposableStack,
  ): string | undefined {
    using own = new DisposableStack();
    const flags = O.PATH | O.DIRECTORY;
    const folder = must(
      // The root may be closed to its owner: then there is no path in it, not even ".".
      parent === ""
        ? openAt(AT.FDCWD, cstring(`/proc/self/fd/${this.#descriptor}`), flags)
        : this.open(parent, flags),
      "open",
      parent || this.path,
    );
    own.defer(() => close(folder));
    const subject = `${parent}/${name}`;
    let made = make(folder, name, kind);
    const before = statAt(folder, itself);
    if (made === -E.ACCES && typeof before === "object" && before.uid === Deno.uid()) {
      own.use(openUp(folder, parent || this.path));
      // The next one may be in it, so it stays open until all is made.
      opened.use(own.move());
      made = make(folder, name, kind);
    }
    if (made >= 0) return undefined;
    if (made !== -E.EXIST) must(made, kind === "dir" ? "mkdir" : "open", subject);
    const there = this.open(subject, O.PATH);
    if (there >= 0) {
      close(there);
      return undefined;
    }
    try {
      return Deno.readLinkSync(`/proc/self/fd/${folder}/${name}`);
    } catch {
      throw new SysError("openat2", -there, subject);
    }
  }
}

/** Make one thing in a folder, without a trace in the folder's time: 0 or more, or the negative `errno`. */
function make(folder: number, name: string, kind: "dir" | "file"): number {
  const cname = cstring(name);
  const before = statAt(folder, itself);
  const made = kind === "dir"
    ? mkdirAt(folder, cname, 0o755)
    : openAt(folder, cname, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o644);
  if (made < 0) return made;
  if (kind === "file") close(made);
  utimeAt(folder, cname, 0, 0);
  if (typeof before === "object") {
    utimeAt(folder, cstring("."), before.seconds, before.nanoseconds);
  }
  return 0;
}

/** The parts of a path relative to the root; `..` ends there. */
function normalize(path: string): string[] {
  const parts: string[] = [];
  for (const part of partsOf(path)) {
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

const libc = bindLibc({ fstatfs: { parameters: ["i32", "buffer"], result: "i32" } });

// linux/magic.h: proc, sysfs, cgroup of both versions, debugfs, tracefs, securityfs, bpf, efivarfs, pstore,
// selinux, configfs. None of them holds files that anybody wrote.
const kernelFileSystems: ReadonlySet<number> = new Set([
  ...[0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x64626720, 0x74726163, 0x73636673],
  ...[0xcafe4a11, 0xde5e81e4, 0x6165676c, 0xf97cff8c, 0x62656570],
]);

function isOfKernel(descriptor: number): boolean {
  const found = new BigInt64Array(32);
  must(
    attempt(() => libc.fstatfs(descriptor, new Uint8Array(found.buffer))),
    "fstatfs",
    "a file of the container",
  );
  return kernelFileSystems.has(Number(BigInt.asUintN(32, found[0] ?? 0n)));
}
