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
import { cstring } from "./libc.ts";

/** How many symlinks a path may lead through, as in the kernel. */
const maxLinks = 40;

/** The most bytes that are read of a configuration file inside a container. */
const maxText = 1 << 20;

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

  /** A file's text; `undefined` when there is no such file, or none that is readable. */
  readText(path: string): string | undefined {
    const descriptor = this.open(path, O.RDONLY | O.NONBLOCK);
    if (descriptor < 0) return undefined;
    try {
      const found = statAt(descriptor, itself);
      if (typeof found === "number" || (found.mode & S.IFMT) !== S.IFREG) return undefined;
      using file = Deno.openSync(`/proc/self/fd/${descriptor}`);
      const bytes = new Uint8Array(maxText);
      let length = 0;
      for (let read; length < maxText && (read = file.readSync(bytes.subarray(length)));) {
        length += read;
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
   * too, and the target of a symlink that dangles.
   *
   * What is made has the time 0 and the folder it is in keeps its own: the same image makes the same
   * tree, whenever that is.
   *
   * @throws {EnrootError} when something is in the way
   */
  create(path: string, kind: "dir" | "file"): void {
    let name = normalize(path);
    for (let links = 0; links < maxLinks; links++) {
      if (name === "") return;
      const at = name.lastIndexOf("/");
      const parent = at < 0 ? "" : name.slice(0, at);
      this.create(parent, "dir");
      const link = this.#createOne(parent, name.slice(at + 1), kind);
      if (link === undefined) return;
      name = normalize(link.startsWith("/") ? link : `${parent}/${link}`);
    }
    throw new EnrootError("bad-target", `${path}: too many symlinks in the container`);
  }

  /** @returns the target of a dangling symlink that is in the way */
  #createOne(parent: string, name: string, kind: "dir" | "file"): string | undefined {
    const folder = must(
      this.open(parent === "" ? "." : parent, O.PATH | O.DIRECTORY),
      "open",
      parent,
    );
    try {
      const cname = cstring(name);
      const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
      const before = statAt(folder, itself);
      const made = kind === "dir"
        ? mkdirAt(folder, cname, 0o755)
        : openAt(folder, cname, flags, 0o644);
      if (made >= 0) {
        if (kind === "file") close(made);
        utimeAt(folder, cname, 0, 0);
        if (typeof before === "object") {
          utimeAt(folder, cstring("."), before.seconds, before.nanoseconds);
        }
        return undefined;
      }
      if (made !== -E.EXIST) must(made, kind === "dir" ? "mkdir" : "open", `${parent}/${name}`);
      const there = this.open(`${parent}/${name}`, O.PATH);
      if (there >= 0) {
        close(there);
        return undefined;
      }
      return Deno.readLinkSync(`/proc/self/fd/${folder}/${name}`);
    } finally {
      close(folder);
    }
  }
}

/** A path without empty parts and `.`, relative to the root; `..` ends there. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
