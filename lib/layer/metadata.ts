/**
 * Owners, modes and extended attributes, by what the caller may and wants.
 *
 * @module
 */

import { AT, chownAt, E, itself, must, setXattr } from "../sys/at.ts";
import { SysError } from "../sys/libc.ts";
import { toCString } from "../tar/byte_string.ts";
import type { TarEntry } from "../tar/entry.ts";

const notSupported = 95;

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

  /** Give an open file to its owner; before its mode, which a change of owner takes bits from. */
  own(file: number, { uid, gid }: TarEntry, subject: string): void {
    if (this.#numeric) must(chown(file, uid, gid), "chown", subject);
  }

  /** Whether names are given to owners at all. */
  get isNumeric(): boolean {
    return this.#numeric;
  }

  /** Set what may be set of an entry's extended attributes, and count the rest. */
  setXattrs(file: number, { xattrs }: TarEntry, subject: string): void {
    for (const [name, value] of xattrs) {
      if (!this.#numeric && !name.startsWith("user.")) {
        this.skippedXattrs++;
        continue;
      }
      const result = setXattr(file, toCString(name), value);
      if (result >= 0) continue;
      if (result !== -notSupported && result !== -E.PERM) {
        throw new SysError(`setxattr ${name}`, -result, subject);
      }
      this.skippedXattrs++;
    }
  }
}

function chown(file: number, uid: number, gid: number): number {
  return chownAt(file, itself, uid, gid, AT.EMPTY_PATH);
}
