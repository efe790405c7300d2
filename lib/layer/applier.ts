/**
 * Applying the entries of one layer to a root folder that holds the layers below it.
 *
 * Source of the rules: OCI image-spec 1.1, `layer.md`. Whiteouts are acted on as they come, and touch
 * only what is of lower layers, whatever their place in the archive.
 *
 * @module
 */

import {
  chmodAt,
  close,
  closeWritten,
  E,
  linkAt,
  mkdirAt,
  mknodAt,
  must,
  O,
  openAt,
  S,
  seek,
  statAt,
  symlinkAt,
  truncate,
  utimeAt,
  utimeFd,
  writeAll,
} from "../sys/at.ts";
import { SysError } from "../sys/libc.ts";
import { removeTreeAt } from "../sys/remove_tree.ts";
import { type ByteString, display, toBriefCString, toCString } from "../tar/byte_string.ts";
import { type TarEntry, TarError } from "../tar/entry.ts";
import type { TarHandler } from "../tar/reader.ts";
import type { Handover } from "../pool/handover.ts";
import type { Birth } from "./births.ts";
import { facts, Folders, type OpenFolder } from "./folders.ts";
import type { Guard } from "./guard.ts";
import type { Metadata } from "./metadata.ts";
import { entryPath, isBelowDev, meaningOf } from "./path.ts";
import { LowerContent } from "./whiteout.ts";

const createFlags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;

/** A file whose content is being read. */
interface OpenFile {
  readonly descriptor: number;
  readonly entry: TarEntry;
  readonly birth: Birth;
  /** What it is called in messages. */
  readonly subject: () => string;
  position: number;
}

/** Applies one layer. Disposing of it closes what is open. */
export class Applier implements TarHandler, Disposable {
  /** How many entries there were. */
  entries = 0;
  /** How many device nodes were not made. */
  skippedDevices = 0;

  readonly #folders: Folders;
  readonly #metadata: Metadata;
  readonly #lower: LowerContent;
  readonly #guard: Guard;
  readonly #handover: Handover | undefined;
  #file: OpenFile | undefined;

  /**
   * @param root the root folder, absolute
   * @param guard asked at every step
   * @param handover takes files whose content is all there, when another thread can complete them
   */
  constructor(root: string, metadata: Metadata, guard: Guard, handover?: Handover) {
    this.#handover = handover;
    this.#folders = new Folders(root, metadata);
    this.#metadata = metadata;
    this.#lower = new LowerContent(this.#folders, guard.check);
    this.#guard = guard;
  }

  /** @throws {EnrootError} when the entry cannot be, or cannot be made */
  entry(entry: TarEntry): void {
    this.#guard.check();
    this.entries++;
    this.#folders.trim();
    const path = entryPath(entry.path);
    if (isBelowDev(path)) return;
    const meaning = meaningOf(path);
    if (meaning.kind === "ignored") return;
    const parent = this.#folders.open(path.parent);
    switch (meaning.kind) {
      case "opaque":
        return this.#lower.clear(parent);
      case "whiteout":
        return this.#lower.remove(parent, meaning.name);
      case "entry":
        if (path.name === "") {
          if (entry.type !== "directory") {
            throw new TarError(`'${display(entry.path)}' would replace the root folder`);
          }
          return this.#folders.describe(parent, path.name, entry, false);
        }
        this.#lower.note(parent, path.name);
        return this.#make(parent, path.name, entry);
    }
  }

  /** @throws {SysError} when it cannot be written */
  content(bytes: Uint8Array<ArrayBuffer>, offset: number): void {
    const file = this.#file;
    if (file === undefined || this.#handOver(file, bytes)) return;
    if (offset !== file.position) done(seek(file.descriptor, offset), "lseek", file);
    done(writeAll(file.descriptor, bytes), "write", file);
    file.position = offset + bytes.length;
  }

  /** Let another thread complete a file, when these bytes are all that it lacks. */
  #handOver({ descriptor, entry, birth }: OpenFile, bytes: Uint8Array<ArrayBuffer>): boolean {
    const isWhole = bytes.length === entry.size && entry.extents === undefined;
    if (!isWhole || this.#handover === undefined) return false;
    // Writing to a file takes some of what it was given before.
    if (!this.#metadata.isGiven(entry, birth)) return false;
    const isTaken = this.#handover.offer({ descriptor, bytes, ...entry.mtime });
    if (isTaken) this.#file = undefined;
    return isTaken;
  }

  /** @throws {SysError} when its metadata cannot be set */
  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    const { descriptor, entry, birth, subject } = file;
    if (entry.extents !== undefined) done(truncate(descriptor, entry.size), "ftruncate", file);
    this.#metadata.giveFile(descriptor, entry, birth, subject);
    const { seconds, nanoseconds } = entry.mtime;
    done(utimeFd(descriptor, seconds, nanoseconds), "utimensat", file);
    this.#file = undefined;
    done(closeWritten(descriptor), "close", file);
  }

  /** The archive is at its end: folders get their metadata. @throws {SysError} */
  finish(): void {
    this.#folders.finish(this.#guard.check);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) close(this.#file.descriptor);
    this.#file = undefined;
    this.#folders[Symbol.dispose]();
  }

  #make(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    switch (entry.type) {
      case "file":
        return this.#makeFile(parent, name, entry);
      case "directory":
        return this.#makeFolder(parent, name, entry);
      case "hardlink":
        return this.#makeHardLink(parent, name, entry);
      case "symlink":
        this.#replacing(
          parent,
          name,
          entry,
          "symlink",
          (at, as) => symlinkAt(toCString(entry.linkPath), at, as),
        );
        this.#folders.linked();
        return this.#finishNode(this.#folders.open(parent.folder.path), name, entry);
      case "fifo":
        return this.#makeNode(parent, name, entry, S.IFIFO);
      case "character-device":
      case "block-device":
        if (this.#metadata.makesDevices) {
          const type = entry.type === "block-device" ? S.IFBLK : S.IFCHR;
          return this.#makeNode(parent, name, entry, type);
        }
        this.skippedDevices++;
        return this.#remove(parent, name);
    }
  }

  #makeFile(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    this.#guard.file(entry);
    const mode = this.#metadata.birthMode(entry);
    const descriptor = this.#replacing(
      parent,
      name,
      entry,
      "open",
      (at, as) => openAt(at, as, createFlags, mode),
    );
    const subject = (): string => this.#subject(parent, name);
    try {
      const birth = parent.births.of(mode, () => facts(descriptor, subject()));
      this.#file = { descriptor, entry, birth, subject, position: 0 };
    } finally {
      if (this.#file === undefined) close(descriptor);
    }
  }

  #makeFolder(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    const cname = toCString(name);
    let made = mkdirAt(parent.descriptor, cname, 0o700);
    if (made === -E.EXIST) {
      const found = statAt(parent.descriptor, cname);
      const isFolder = typeof found === "object" && (found.mode & S.IFMT) === S.IFDIR;
      if (isFolder) return this.#folders.describe(parent, name, entry, false);
      this.#remove(parent, name);
      parent = this.#folders.open(parent.folder.path);
      made = mkdirAt(parent.descriptor, cname, 0o700);
    }
    must(made, "mkdir", this.#subject(parent, name));
    this.#folders.describe(parent, name, entry, true);
  }

  #makeHardLink(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    const target = entryPath(entry.linkPath);
    if (target.name === "") {
      throw new TarError(`'${display(entry.path)}' is a hard link to the root folder`);
    }
    if (isBelowDev(target)) return;
    const from = this.#folders.open(target.parent);
    const old = toCString(target.name);
    // Opening the target's folder may have closed the parent's.
    const at = this.#folders.open(parent.folder.path);
    const existing = statAt(at.descriptor, toCString(name));
    const linked = statAt(from.descriptor, old);
    if (typeof linked === "number") {
      throw new TarError(
        `'${display(entry.path)}' is a hard link to '${
          display(entry.linkPath)
        }', which is not there`,
      );
    }
    if (typeof existing === "object") {
      if (existing.inode === linked.inode) return;
      this.#remove(at, name);
      return this.#makeHardLink(this.#folders.open(parent.folder.path), name, entry);
    }
    const result = linkAt(from.descriptor, old, at.descriptor, toCString(name));
    must(result, "link", this.#subject(parent, name));
  }

  #makeNode(parent: OpenFolder, name: ByteString, entry: TarEntry, type: number): void {
    const { major, minor } = entry.device;
    this.#replacing(
      parent,
      name,
      entry,
      "mknod",
      (at, as) => mknodAt(at, as, type | 0o600, makeDevice(major, minor)),
    );
    const at = this.#folders.open(parent.folder.path);
    const mode = this.#metadata.fileMode(entry.mode);
    this.#finishNode(at, name, entry);
    must(chmodAt(at.descriptor, toCString(name), mode), "chmod", this.#subject(parent, name));
    this.#setTime(at, name, entry);
  }

  /** Owner and time of what has no descriptor of its own. */
  #finishNode(parent: OpenFolder, name: ByteString, entry: TarEntry): void {
    this.#metadata.giveName(parent.descriptor, name, entry, this.#subject(parent, name));
    this.#setTime(parent, name, entry);
  }

  #setTime(parent: OpenFolder, name: ByteString, { mtime }: TarEntry): void {
    const result = utimeAt(parent.descriptor, toCString(name), mtime.seconds, mtime.nanoseconds);
    must(result, "utimensat", this.#subject(parent, name));
  }

  /** Make something; when the name is taken, remove what has it and make it again. */
  #replacing(
    parent: OpenFolder,
    name: ByteString,
    entry: TarEntry,
    call: string,
    make: (folder: number, name: Uint8Array<ArrayBuffer>) => number,
  ): number {
    let result = make(parent.descriptor, toBriefCString(name));
    if (result === -E.EXIST) {
      this.#remove(parent, name);
      const again = this.#folders.open(parent.folder.path);
      result = make(again.descriptor, toBriefCString(name));
    }
    if (result >= 0) return result;
    throw new SysError(call, -result, `'${display(entry.path)}'`);
  }

  #remove(parent: OpenFolder, name: ByteString): void {
    const subject = this.#subject(parent, name);
    removeTreeAt(parent.descriptor, toCString(name), subject, this.#guard.check);
    this.#folders.removed(parent.folder, name);
  }

  #subject(parent: OpenFolder, name: ByteString): string {
    return this.#folders.subject(
      parent.folder.path === "" ? name : `${parent.folder.path}/${name}`,
    );
  }
}

/** As {@linkcode must}, of what is done for each file: its name is only put together when it fails. */
function done(result: number, call: string, { subject }: OpenFile): void {
  if (result < 0) throw new SysError(call, -result, subject());
}

/** makedev(3) of Linux. */
function makeDevice(major: number, minor: number): bigint {
  const high = BigInt(major);
  const low = BigInt(minor);
  return (high & 0xfffff000n) << 32n | (high & 0xfffn) << 8n | (low & 0xffffff00n) << 12n |
    (low & 0xffn);
}
