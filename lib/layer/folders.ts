/**
 * The folders of the root filesystem while a layer is applied: opened by descriptor inside the root,
 * kept writable, and given their final metadata at the end.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import {
  AT,
  chmodAt,
  chmodFd,
  chownAt,
  close,
  E,
  itself,
  mkdirAt,
  must,
  O,
  openAt,
  openInRoot,
  type Stat,
  statAt,
  utimeFd,
} from "../sys/at.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { type ByteString, display, toCString } from "../tar/byte_string.ts";
import type { TarEntry } from "../tar/entry.ts";
import { entryPath } from "./path.ts";
import type { Metadata } from "./metadata.ts";

/** A folder that this layer makes, names or writes in. */
export interface Folder {
  /** Small and unique in this layer; a key for what is in it. */
  readonly id: number;
  readonly path: ByteString;
  readonly inode: bigint;
  /** What it gets at the end. */
  mode: number;
  seconds: number;
  nanoseconds: number;
  /** The entry that described it, when one did: the last counts. */
  entry: TarEntry | undefined;
}

/** A folder with an `O_PATH` descriptor, which stays open until `trim` or `forget` is called. */
export interface OpenFolder {
  readonly descriptor: number;
  readonly folder: Folder;
}

const self = cstring(".");
const pathFlags = O.PATH | O.DIRECTORY;

/** How many descriptors of parents are kept. */
const keptOpen = 32;

/** The folders of one layer. Disposing of it closes every descriptor. */
export class Folders implements Disposable {
  readonly #root: number;
  readonly #rootPath: string;
  readonly #metadata: Metadata;
  readonly #byInode = new Map<bigint, Folder>();
  /** Oldest first; everything in it was resolved since the last change of any folder or symlink. */
  readonly #open = new Map<ByteString, OpenFolder>();
  #nextId = 0;

  /** @param rootPath the root folder, absolute */
  constructor(rootPath: string, metadata: Metadata) {
    this.#rootPath = rootPath;
    this.#metadata = metadata;
    const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
    this.#root = must(openAt(AT.FDCWD, cstring(rootPath), flags), "open", rootPath);
  }

  /** What a path inside the root is called in messages. */
  subject(path: string): string {
    return `${this.#rootPath}/${display(path as ByteString)}`;
  }

  /**
   * Open a folder by its path inside the root, symlinks resolved there, and make it and those above
   * it when they are missing. It can be written in from here on.
   *
   * @throws {EnrootError} when a part of the path is no folder
   */
  open(path: ByteString): OpenFolder {
    const cached = this.#open.get(path);
    if (cached !== undefined) return cached;
    let descriptor = this.#resolve(path);
    if (descriptor === -E.NOENT) {
      this.#make(path);
      descriptor = this.#resolve(path);
    }
    if (descriptor === -E.NOTDIR || descriptor === -E.NOENT) {
      throw new EnrootError(
        "bad-archive",
        `'${display(path)}' is not a folder in the lower layers`,
      );
    }
    must(descriptor, "openat2", this.subject(path));
    const opened = { descriptor, folder: this.#register(descriptor, path) };
    this.#open.set(path, opened);
    return opened;
  }

  /** Close the descriptors that were opened first, but for a few: nobody may use one meanwhile. */
  trim(): void {
    for (const [path, { descriptor }] of this.#open) {
      if (this.#open.size <= keptOpen) return;
      this.#open.delete(path);
      close(descriptor);
    }
  }

  /**
   * Forget what paths lead to, because a folder or a symlink was removed or replaced. Cheap when
   * nothing was opened since.
   */
  forget(): void {
    for (const { descriptor } of this.#open.values()) close(descriptor);
    this.#open.clear();
  }

  /** Note that an entry described a folder that is there now. */
  describe(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    const path = (parent.folder.path === "" ? name : `${parent.folder.path}/${name}`) as ByteString;
    const target = name === "" ? itself : toCString(name);
    const descriptor = must(
      name === "" ? openAt(parent.descriptor, self, pathFlags) : openAt(
        parent.descriptor,
        target,
        pathFlags | O.NOFOLLOW,
      ),
      "open",
      this.subject(path),
    );
    try {
      const folder = this.#register(descriptor, path);
      folder.mode = this.#metadata.folderMode(entry.mode);
      folder.seconds = entry.mtime.seconds;
      folder.nanoseconds = entry.mtime.nanoseconds;
      folder.entry = entry;
    } finally {
      close(descriptor);
    }
  }

  /** Start anew with a folder that was just made: its inode may have been another's before. */
  fresh(parent: OpenFolder, name: ByteString): void {
    const found = statAt(parent.descriptor, toCString(name));
    if (typeof found === "object") this.#byInode.delete(found.inode);
  }

  /** The folder of an inode, when this layer has to do with it. */
  known(inode: bigint): Folder | undefined {
    return this.#byInode.get(inode);
  }

  /** Give every folder its metadata: those of the layer theirs, the others what they had. */
  finish(): void {
    this.forget();
    for (const folder of [...this.#byInode.values()].reverse()) this.#finishOne(folder);
    this.#byInode.clear();
  }

  [Symbol.dispose](): void {
    this.forget();
    close(this.#root);
  }

  #finishOne(folder: Folder): void {
    const subject = this.subject(folder.path);
    const path = folder.path === "" ? self : toCString(folder.path);
    const descriptor = openInRoot(this.#root, path, O.RDONLY | O.DIRECTORY);
    // It was removed, or something else is there now.
    if (descriptor === -E.NOENT || descriptor === -E.NOTDIR) return;
    must(descriptor, "openat2", subject);
    try {
      if (facts(descriptor, subject).inode !== folder.inode) return;
      if (folder.entry !== undefined) this.#metadata.own(descriptor, folder.entry, subject);
      must(chmodFd(descriptor, folder.mode), "chmod", subject);
      if (folder.entry !== undefined) this.#metadata.setXattrs(descriptor, folder.entry, subject);
      must(utimeFd(descriptor, folder.seconds, folder.nanoseconds), "utimensat", subject);
    } finally {
      close(descriptor);
    }
  }

  #resolve(path: ByteString): number {
    return openInRoot(this.#root, path === "" ? self : toCString(path), pathFlags);
  }

  /** Make a folder that no entry describes: always the same way, so that trees are the same. */
  #make(path: ByteString): void {
    const { parent, name } = entryPath(path);
    const above = this.open(parent);
    const made = mkdirAt(above.descriptor, toCString(name), 0o755);
    if (made === -E.EXIST) return;
    must(made, "mkdir", this.subject(path));
    this.fresh(above, name);
    const descriptor = must(
      openAt(above.descriptor, toCString(name), pathFlags | O.NOFOLLOW),
      "open",
      this.subject(path),
    );
    try {
      const folder = this.#register(descriptor, path);
      folder.mode = 0o755;
      folder.seconds = folder.nanoseconds = 0;
    } finally {
      close(descriptor);
    }
  }

  /** Note what a folder was like before this layer, and make it writable. */
  #register(descriptor: number, path: ByteString): Folder {
    const subject = this.subject(path);
    const { inode, mode, seconds, nanoseconds } = facts(descriptor, subject);
    const known = this.#byInode.get(inode);
    if (known !== undefined) return known;
    const folder: Folder = {
      id: this.#nextId++,
      path,
      inode,
      mode: mode & 0o7777,
      seconds,
      nanoseconds,
      entry: undefined,
    };
    if ((mode & 0o700) !== 0o700) {
      must(chmodAt(descriptor, self, mode & 0o7777 | 0o700), "chmod", subject);
    }
    this.#byInode.set(inode, folder);
    // What is above a folder that this layer writes in is this layer's too.
    if (path !== "") this.open(entryPath(path).parent);
    return folder;
  }
}

/** What a descriptor is. @throws {SysError} */
export function facts(descriptor: number, subject: string): Stat {
  const found = statAt(descriptor, itself);
  if (typeof found === "number") throw new SysError("statx", -found, subject);
  return found;
}

/** Give a name to an owner, not following a symlink. @throws {SysError} */
export function chown(
  folder: number,
  name: ByteString,
  uid: number,
  gid: number,
  subject: string,
): void {
  must(chownAt(folder, toCString(name), uid, gid), "chown", subject);
}
