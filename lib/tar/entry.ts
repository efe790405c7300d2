/**
 * What a tar archive holds, as the reader gives it.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { ByteString } from "./byte_string.ts";

/** What an entry makes. */
export type EntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "fifo"
  | "character-device"
  | "block-device";

/** A part of a sparse file that has content; between the parts are holes. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** One entry of an archive. */
export interface TarEntry {
  readonly type: EntryType;
  /** As in the archive: not empty, may begin with `/` or `./`, may hold `..`. */
  readonly path: ByteString;
  /** Where a symlink or a hard link points; empty for others. */
  readonly linkPath: ByteString;
  /** Permission bits, set-id and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since the epoch, and the rest. */
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** The size of the file that it makes; 0 for anything but files. */
  readonly size: number;
  /** Of devices. */
  readonly device: { readonly major: number; readonly minor: number };
  /** Extended attributes by name. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;
  /** The parts of a sparse file, in order; absent for a file that is stored whole. */
  readonly extents?: readonly Extent[];
}

/** An archive that is broken, truncated, or made to do harm. */
export class TarError extends EnrootError {
  override readonly name = "TarError";

  /** @param why what is wrong, naming the entry where there is one */
  constructor(why: string) {
    super("bad-archive", why);
  }
}
