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
  close,
  E,
  itself,
  mkdirAt,
  must,
  O,
  openAt,
  readLinkAt,
  S,
  type Stat,
  statAt,
  utimeFd,
} from "../sys/at.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { type ByteString, byteString, display, toCString } from "../tar/byte_string.ts";
import { type TarEntry, TarError } from "../tar/entry.ts";
import { Births } from "./births.ts";
import { Cursor, openFolder } from "./cursor.ts";
import { Folder } from "./folder.ts";
import type { Metadata } from "./metadata.ts";

/** A folder's descriptor (O_PATH), which is good until the next folder is opened or forgotten. */
export interface OpenFolder {
  readonly descriptor: number;
  readonly folder: Folder;
  /** What files get that are made in it. */
  readonly births: Births;
}

/** How many descriptors of parents are kept. */
const keptOpen = 32;

/** How many symlinks one path may lead through, as in the kernel. */
const maxLinks = 40;

/** The most bytes of a path: PATH_MAX without the NUL. */
const maxPath = 4095;

/** The most folders that one layer may have to do with: each takes some hundred bytes of memory. */
const maxFolders = 2 ** 20;

/** The most bytes of attributes that wait for the end of the layer. */
const maxKept = 16 << 20;

/** The folders of one layer. Disposing of it closes every descriptor. */
export class Folders implements Disposable {
  readonly #root: number;
  readonly #rootPath: string;
  readonly #metadata: Metadata;
  readonly #top: Folder;
  /** Oldest first; everything in it was resolved since the last change of any folder or symlink. */
  readonly #open = new Map<ByteString, OpenFolder>();
  #nextId = 0;
  #kept = 0;
  /** Whether a path was taken to lead through what is not there, and back. */
  #hasGuessed = false;

  /** @param rootPath the root folder, absolute */
  constructor(rootPath: string, metadata: Metadata) {
    this.#rootPath = rootPath;
    this.#metadata = metadata;
    const flags = O.PATH | O.DIRECTORY | O.NOFOLLOW;
    this.#root = must(openAt(AT.FDCWD, cstring(rootPath), flags), "open", rootPath);
    try {
      const found = facts(this.#root, rootPath);
      this.#top = this.#note(this.#root, found, undefined, "" as ByteString, isEmpty(rootPath));
    } catch (error) {
      close(this.#root);
      throw error;
    }
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
    const opened = this.#walk(path);
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

  /** Note that a symlink was made, in a place that was free. */
  linked(): void {
    // Every part of a path that was resolved is there, but for those that `..` made up for.
    if (this.#hasGuessed) this.forget();
  }

  /** Note that what had a name is removed, and what was below it. */
  removed(parent: Folder, name: ByteString): void {
    parent.drop(name);
    this.forget();
  }

  /**
   * Note that an entry described a folder that is there now.
   *
   * @param name in the parent; empty for the parent itself
   * @param isNew whether it was made for that entry
   * @throws {EnrootError} when more is to be kept for the end than memory should hold
   */
  describe(parent: OpenFolder, name: ByteString, entry: TarEntry, isNew: boolean): void {
    const folder = name === "" ? parent.folder : this.#child(parent, name, isNew);
    const kept = this.#metadata.keep(entry);
    this.#kept += kept.size - (folder.state.kept?.size ?? 0);
    if (this.#kept > maxKept) {
      throw new TarError(
        `with '${display(entry.path)}' the folders have more than ${maxKept >> 20} MiB of ` +
          "extended attributes",
      );
    }
    const { seconds, nanoseconds } = entry.mtime;
    const mode = this.#metadata.folderMode(entry.mode);
    Object.assign(folder.state, { mode, seconds, nanoseconds, kept });
  }

  /**
   * Give every folder its metadata: those of the layer theirs, the others what they had.
   *
   * @param onStep called before each; what it throws ends the work
   * @throws {SysError} also when one is not where it was
   */
  finish(onStep: () => void): void {
    this.forget();
    // Those below come first: their parent's mode may keep its own owner out.
    for (const folder of [...this.#top.all()].reverse()) {
      onStep();
      this.#finishOne(folder);
    }
  }

  [Symbol.dispose](): void {
    this.forget();
    close(this.#root);
  }

  #finishOne(folder: Folder): void {
    const subject = this.subject(folder.path);
    const { mode, seconds, nanoseconds, kept } = folder.state;
    const descriptor = must(openFolder(this.#root, folder, O.RDONLY), "openat2", subject);
    try {
      if (kept !== undefined) this.#metadata.give(descriptor, kept, subject);
      must(chmodFd(descriptor, mode), "chmod", subject);
      must(utimeFd(descriptor, seconds, nanoseconds), "utimensat", subject);
    } finally {
      close(descriptor);
    }
  }

  /**
   * Follow a path as if the root were `/`, name by name: so it is known where a folder really is, and
   * no more than two are open at a time. What is not there is taken for a folder, which is then made;
   * a symlink may come before what it points to.
   */
  #walk(path: ByteString): OpenFolder {
    const parts = path.split("/").reverse();
    const missing: ByteString[] = [];
    let links = 0;
    using at = new Cursor(this.#root, this.#top, (folder) => this.subject(folder.path));
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const name = part as ByteString;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (missing.pop() === undefined) at.moveTo(at.folder.parent ?? this.#top);
        else this.#hasGuessed = true;
        continue;
      }
      if (missing.length > 0) {
        missing.push(name);
        continue;
      }
      const known = at.folder.child(name);
      if (known !== undefined) {
        at.moveTo(known);
        continue;
      }
      const target = this.#enter(at, name, path);
      if (target === "entered") continue;
      if (target === "missing") {
        missing.push(name);
        continue;
      }
      if (++links > maxLinks) {
        throw new EnrootError("bad-archive", `'${display(path)}' leads through too many symlinks`);
      }
      if (target[0] === slash) at.moveTo(this.#top);
      parts.push(...byteString(target).split("/").reverse());
    }
    for (const name of missing) this.#make(at, name);
    return { folder: at.folder, descriptor: at.take(), births: new Births() };
  }

  /** Go on to a name; of a symlink, tell where it points instead. */
  #enter(at: Cursor, name: ByteString, path: ByteString): "entered" | "missing" | Uint8Array {
    const descriptor = openAt(at.descriptor, toCString(name), O.PATH | O.NOFOLLOW);
    if (descriptor === -E.NOENT) return "missing";
    const subject = this.subject(path);
    must(descriptor, "open", subject);
    let isKept = false;
    try {
      const found = facts(descriptor, subject);
      const type = found.mode & S.IFMT;
      if (type === S.IFLNK) {
        const target = readLinkAt(descriptor, itself);
        if (typeof target === "number") throw new SysError("readlink", -target, subject);
        return target;
      }
      if (type !== S.IFDIR) {
        throw new EnrootError(
          "bad-archive",
          `'${display(path)}' is not a folder in the lower layers`,
        );
      }
      const child = this.#note(descriptor, found, at.folder, name, false);
      at.moveTo(child, descriptor);
      isKept = true;
      return "entered";
    } finally {
      if (!isKept) close(descriptor);
    }
  }

  /** Make a folder that no entry describes: always the same way, so that trees are the same. */
  #make(at: Cursor, name: ByteString): void {
    const made = mkdirAt(at.descriptor, toCString(name), 0o755);
    must(made, "mkdir", `${this.subject(at.folder.path)}/${display(name)}`);
    const { descriptor, folder } = at;
    const child = this.#child({ descriptor, folder }, name, true);
    Object.assign(child.state, { mode: 0o755, seconds: 0, nanoseconds: 0 });
    at.moveTo(child);
  }

  /** The folder that has a name. */
  #child(
    parent: Pick<OpenFolder, "descriptor" | "folder">,
    name: ByteString,
    isNew: boolean,
  ): Folder {
    const known = parent.folder.child(name);
    if (known !== undefined) return known;
    const subject = `${this.subject(parent.folder.path)}/${display(name)}`;
    const flags = O.PATH | O.DIRECTORY | O.NOFOLLOW;
    const descriptor = must(openAt(parent.descriptor, toCString(name), flags), "open", subject);
    try {
      const found = facts(descriptor, subject);
      return this.#note(descriptor, found, parent.folder, name, isNew);
    } finally {
      close(descriptor);
    }
  }

  /** Note what a folder was like before this layer, and make it writable. */
  #note(
    descriptor: number,
    { mode, seconds, nanoseconds }: Stat,
    parent: Folder | undefined,
    name: ByteString,
    isNew: boolean,
  ): Folder {
    if (this.#nextId === maxFolders) {
      throw new TarError(`there are more than ${maxFolders} folders in one layer`);
    }
    const state = { mode: mode & 0o7777, seconds, nanoseconds, kept: undefined };
    const folder = new Folder(this.#nextId++, parent, name, state, isNew);
    if (folder.pathLength > maxPath) {
      const start = display(folder.path).slice(0, 60);
      throw new TarError(
        `a path of ${folder.pathLength} bytes is too long, symlinks resolved: '${start}…'`,
      );
    }
    if ((mode & 0o700) === 0o700) return folder;
    // fchmod(2) takes no O_PATH, and "." would be looked up in a folder that may not be entered.
    const itsName = cstring(`/proc/self/fd/${descriptor}`);
    const changed = chmodAt(AT.FDCWD, itsName, mode & 0o7777 | 0o700);
    must(changed, "chmod", this.subject(folder.path));
    return folder;
  }
}

const slash = "/".charCodeAt(0);

function isEmpty(folder: string): boolean {
  for (const _ of Deno.readDirSync(folder)) return false;
  return true;
}

/** What a descriptor is. @throws {SysError} */
export function facts(descriptor: number, subject: string): Stat {
  const found = statAt(descriptor, itself);
  if (typeof found === "number") throw new SysError("statx", -found, subject);
  return found;
}
