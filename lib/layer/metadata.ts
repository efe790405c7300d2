/**
 * Owners, modes and extended attributes, by what the caller may and wants.
 *
 * @module
 */

import { AT, chmodFd, chownAt, E, itself, must, setXattr } from "../sys/at.ts";
import { SysError } from "../sys/libc.ts";
import { type ByteString, display, toCString } from "../tar/byte_string.ts";
import { type TarEntry, TarError } from "../tar/entry.ts";
import type { Birth } from "./births.ts";

type Xattrs = ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;

/** Owner and attributes, for when everything in a folder is done. */
export interface KeptMetadata {
  readonly uid: number;
  readonly gid: number;
  /** Only those that there is a chance to set. */
  readonly xattrs: Xattrs;
  /** About how many bytes of memory the attributes take. */
  readonly size: number;
}

/** The largest owner: the number above it tells chown(2) to change nothing. */
const maxOwner = 2 ** 32 - 2;

/** XATTR_SIZE_MAX of linux/limits.h. */
const maxXattr = 65_536;

/** What an attribute takes beside its bytes. */
const perXattr = 128;

const noXattrs: Xattrs = new Map();

/**
 * Why an attribute cannot be set where nothing else is wrong: the file system has none of that name,
 * the caller may not, it is too long, or there is no room for it. A file system that is full fails
 * what comes next as well.
 */
const reasonsToSkip = new Set([
  ...[E.OPNOTSUPP, E.PERM, E.ACCES, E.TOOBIG, E.RANGE, E.NOSPC].map((reason) => -reason),
]);

/** The rules for one layer, and a count of what they left out. */
export class Metadata {
  /** Extended attributes that were not set. */
  skippedXattrs = 0;
  readonly #numeric: boolean;
  readonly #privileged: boolean;

  /**
   * @param numeric whether files belong to the numbers of the archive; else to the caller
   * @param privileged whether the caller is root, whom modes do not keep from anything
   */
  constructor(numeric: boolean, privileged: boolean) {
    this.#numeric = numeric;
    this.#privileged = privileged;
  }

  /** Whether device nodes are made. */
  get makesDevices(): boolean {
    return this.#numeric && this.#privileged;
  }

  /** A folder's mode: its owner must be able to read and enter it. */
  folderMode(mode: number): number {
    return this.#privileged ? mode : mode | 0o500;
  }

  /** A file's mode: its owner must be able to read it. */
  fileMode(mode: number): number {
    return this.#privileged ? mode : mode | 0o400;
  }

  /**
   * The mode to make a file with: its own, unless that would let others write before it is complete,
   * take effect before the owner is right, or keep the owner from setting attributes.
   */
  birthMode({ mode, xattrs }: TarEntry): number {
    const whole = this.fileMode(mode);
    return xattrs.size > 0 || (whole & 0o7022) !== 0 ? 0o600 : whole;
  }

  /** What of an entry is to be given later; what never can be set is counted now, and not kept. */
  keep({ uid, gid, xattrs }: TarEntry): KeptMetadata {
    if (xattrs.size === 0) return { uid, gid, xattrs: noXattrs, size: 0 };
    const kept = new Map([...xattrs].filter(([name, value]) => this.#mayBeSet(name, value)));
    this.skippedXattrs += xattrs.size - kept.size;
    let size = 0;
    for (const [name, value] of kept) size += perXattr + name.length + value.length;
    return { uid, gid, xattrs: kept, size };
  }

  /** Whether a file that was just made has its owner, attributes and mode already. */
  isGiven(entry: TarEntry, birth: Birth): boolean {
    return this.#isOwned(entry, birth) && entry.xattrs.size === 0 &&
      this.fileMode(entry.mode) === birth.mode;
  }

  /** Give a file that was just made its owner, attributes and mode. @throws {EnrootError} */
  giveFile(file: number, entry: TarEntry, birth: Birth, subject: () => string): void {
    const isOwned = this.#isOwned(entry, birth);
    if (!isOwned || entry.xattrs.size > 0) this.give(file, entry, subject());
    const mode = this.fileMode(entry.mode);
    if (isOwned && mode === birth.mode) return;
    const result = chmodFd(file, mode);
    if (result < 0) throw new SysError("chmod", -result, subject());
  }

  #isOwned(entry: TarEntry, birth: Birth): boolean {
    return !this.#numeric || entry.uid === birth.uid && entry.gid === birth.gid;
  }

  /**
   * Give an open file or folder its owner and attributes. Before its mode: a change of owner takes
   * bits from that, and a mode without `w` keeps the owner from setting attributes.
   *
   * @throws {EnrootError}
   */
  give(
    file: number,
    entry: Pick<TarEntry, "uid" | "gid" | "xattrs">,
    subject: string,
  ): void {
    this.#own(file, itself, entry, subject);
    for (const [name, value] of entry.xattrs) this.#setXattr(file, name, value, subject);
  }

  /** Give a name its owner, not following a symlink; it gets no attributes. @throws {EnrootError} */
  giveName(folder: number, name: ByteString, entry: TarEntry, subject: string): void {
    this.#own(folder, toCString(name), entry, subject);
    this.skippedXattrs += entry.xattrs.size;
  }

  #own(
    folder: number,
    name: Uint8Array<ArrayBuffer>,
    { uid, gid }: Pick<TarEntry, "uid" | "gid">,
    subject: string,
  ): void {
    if (!this.#numeric) return;
    if (Math.max(uid, gid) > maxOwner) {
      throw new TarError(`the owner of '${subject}' is out of range: ${uid}:${gid}`);
    }
    must(chownAt(folder, name, uid, gid, AT.EMPTY_PATH), "chown", subject);
  }

  #setXattr(
    file: number,
    name: ByteString,
    value: Uint8Array<ArrayBuffer>,
    subject: string,
  ): void {
    const result = this.#mayBeSet(name, value) ? setXattr(file, toCString(name), value) : -E.PERM;
    if (result >= 0) return;
    if (!reasonsToSkip.has(result)) {
      throw new SysError(`setxattr ${display(name)}`, -result, subject);
    }
    this.skippedXattrs++;
  }

  #mayBeSet(name: ByteString, value: Uint8Array): boolean {
    // What marks templates for the mount helper is not an image's to say.
    if (name.startsWith("trusted.enroot.")) return false;
    return (this.#numeric || name.startsWith("user.")) && value.length <= maxXattr;
  }
}
