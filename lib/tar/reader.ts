/**
 * The tar reader: bytes in, entries and file contents out.
 *
 * It reads what POSIX, GNU tar, bsdtar and Go write: ustar, pax, GNU long names, base-256 numbers, and
 * sparse files in all four formats. It keeps at most one header of an entry in memory, never content.
 *
 * @module
 */

import { type ByteString, display } from "./byte_string.ts";
import { type EntryType, type Extent, type TarEntry, TarError } from "./entry.ts";
import { blockSize, decodeExtents, decodeHeader, type Header, isZeroBlock } from "./header.ts";
import { paxName, paxNumber, type PaxRecords, paxTime, paxXattrs } from "./pax.ts";
import { isPrologue, maxExtension, Prologue, type PrologueType } from "./prologue.ts";
import {
  addExtents,
  checkExtents,
  type PaxSparse,
  paxSparse,
  SparseMapCollector,
} from "./sparse.ts";

/** Takes what the reader finds, in the order of the archive. What it throws ends the reading. */
export interface TarHandler {
  /** An entry begins; of files, `content` follows. */
  entry(entry: TarEntry): void;
  /** A part of the file's content and where it belongs. The bytes are only valid during the call. */
  content(bytes: Uint8Array<ArrayBuffer>, offset: number): void;
  /** The entry is complete. */
  end(): void;
}

/** The largest uid and gid that the kernel has room for. */
const maxId = 2 ** 32 - 1;

/** The most bytes of a path: PATH_MAX without the NUL. */
const maxPath = 4095;

type State = "header" | "extension" | "sparse-blocks" | "sparse-map" | "content" | "skip" | "ended";

const types: Readonly<Record<string, EntryType>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  D: "directory",
  S: "file",
};

/** Reads one archive. */
export class TarReader {
  readonly #handler: TarHandler;
  #state: State = "header";

  /** A block that arrives in pieces. */
  readonly #block = new Uint8Array(blockSize);
  #filled = 0;
  #zeroBlocks = 0;

  readonly #prologue = new Prologue();
  #extension = new Uint8Array(0);
  #extensionType: PrologueType = "x";

  // The content that is being read.
  #header: Header | undefined;
  #records: PaxRecords = new Map();
  #path = "" as ByteString;
  #extents: Extent[] = [];
  #extent = 0;
  #within = 0;
  #realSize = 0;
  #isSparse = false;
  #sparseMap = new SparseMapCollector();
  /** Bytes of the entry's data still to come, and of the padding behind them. */
  #data = 0;
  #padding = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /**
   * Read the next bytes of the archive, however many.
   *
   * @throws {TarError} when the archive is broken; the reader is of no use any more
   */
  write(chunk: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#state === "ended") return;
      at += this.#take(at === 0 ? chunk : chunk.subarray(at));
    }
  }

  /**
   * Pass over the content of the file that the last block began, whose bytes the caller does not
   * write: for archives that can be seeked in.
   *
   * @returns how many bytes follow that must not be written, the padding included
   */
  skipContent(): number {
    if (this.#state !== "content" && this.#state !== "skip") return 0;
    const isContent = this.#state === "content";
    const skipped = this.#data + this.#padding;
    this.#data = this.#padding = 0;
    if (isContent) this.#handler.end();
    this.#state = "header";
    return skipped;
  }

  /** The archive's bytes are at their end. @throws {TarError} when it is not */
  end(): void {
    if (this.#state === "ended") return;
    // The last thing in it may be without the padding to a whole block.
    const isBetween = this.#state === "header" && this.#filled === 0 ||
      this.#state === "skip" && this.#data === 0;
    if (isBetween && !this.#prologue.isPending) return;
    throw new TarError(
      this.#name === "" || this.#state === "header"
        ? "the archive ends in the middle of a header"
        : `the archive ends in the middle of '${this.#name}'`,
    );
  }

  /** Use the beginning of the bytes. @returns how many */
  #take(bytes: Uint8Array<ArrayBuffer>): number {
    switch (this.#state) {
      case "header":
      case "sparse-blocks":
      case "sparse-map":
        return this.#takeBlock(bytes);
      case "extension":
        return this.#takeExtension(bytes);
      case "content":
        return this.#takeContent(bytes);
      case "skip":
        return this.#skip(bytes);
      case "ended":
        return bytes.length;
    }
  }

  /** The entry's name, for messages. */
  get #name(): string {
    return display(this.#path);
  }

  #takeBlock(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#filled === 0 && bytes.length >= blockSize) {
      this.#useBlock(bytes.subarray(0, blockSize));
      return blockSize;
    }
    const part = bytes.subarray(0, blockSize - this.#filled);
    this.#block.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === blockSize) {
      this.#filled = 0;
      this.#useBlock(this.#block);
    }
    return part.length;
  }

  #useBlock(block: Uint8Array<ArrayBuffer>): void {
    if (this.#state === "header") this.#useHeader(block);
    else if (this.#state === "sparse-blocks") this.#useSparseBlock(block);
    else this.#useSparseMapBlock(block);
  }

  #useHeader(block: Uint8Array<ArrayBuffer>): void {
    if (isZeroBlock(block)) {
      if (this.#prologue.isPending) throw new TarError("the archive ends after an extended header");
      if (++this.#zeroBlocks === 2) this.#state = "ended";
      return;
    }
    if (this.#zeroBlocks > 0) throw new TarError("a block of zeroes stands between entries");
    const header = decodeHeader(block);
    const { typeflag, size } = header;
    if (isPrologue(typeflag)) this.#beginExtension(typeflag, size);
    else this.#beginEntry(header);
  }

  #beginExtension(type: PrologueType, size: number): void {
    if (size > maxExtension) {
      throw new TarError(`an extended header of ${size} bytes is larger than the limit of 1 MiB`);
    }
    this.#extensionType = type;
    this.#extension = new Uint8Array(size);
    this.#filled = 0;
    this.#padding = paddingOf(size);
    this.#state = "extension";
    if (size === 0) this.#endExtension();
  }

  #takeExtension(bytes: Uint8Array<ArrayBuffer>): number {
    const part = bytes.subarray(0, this.#extension.length - this.#filled);
    this.#extension.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled === this.#extension.length) this.#endExtension();
    return part.length;
  }

  #endExtension(): void {
    const data = this.#extension;
    this.#extension = new Uint8Array(0);
    this.#filled = 0;
    this.#prologue.add(this.#extensionType, data);
    this.#data = 0;
    this.#state = this.#padding > 0 ? "skip" : "header";
  }

  #beginEntry(header: Header): void {
    const { local, records, longName, longLink } = this.#prologue.take();
    if (header.typeflag === "V") return this.#skipData(header.size);
    // GNU's names win over those of pax: so it is with everything in Go, whose images these are.
    const plainPath = longName ?? paxName(records, "path") ?? header.name;
    const sparse = local.size === 0 ? undefined : paxSparse(local, display(plainPath));
    const path = sparse?.name ?? plainPath;
    this.#path = path;
    if (path === "") throw new TarError("an entry has no name");
    const type = types[header.typeflag];
    if (type === undefined) {
      throw new TarError(
        `'${this.#name}' is of a type that is not supported (${JSON.stringify(header.typeflag)})`,
      );
    }
    // Archives older than the type of directories tell them by a slash.
    const isFile = type === "file" && !(header.typeflag === "\0" && path.endsWith("/"));
    if (sparse !== undefined && !isFile) {
      throw new TarError(`'${this.#name}' is sparse, but no file`);
    }
    // As POSIX has it, only files are followed by data; GNU's directories may be, too.
    const size = isFile || header.typeflag === "D" ? paxNumber(records, "size") ?? header.size : 0;
    this.#records = records;
    this.#header = {
      ...header,
      name: checkedPath(path, path),
      linkname: checkedPath(
        longLink ?? paxName(records, "linkpath") ?? header.linkname,
        path,
      ),
      uid: checkedId(paxNumber(records, "uid") ?? header.uid, path),
      gid: checkedId(paxNumber(records, "gid") ?? header.gid, path),
      size,
    };
    this.#data = size;
    this.#padding = paddingOf(size);
    if (isFile) this.#beginFile(header, sparse);
    else this.#emit(type === "file" ? "directory" : type);
  }

  #beginFile({ typeflag, sparse: old }: Header, pax: PaxSparse | undefined): void {
    this.#isSparse = typeflag === "S" || pax !== undefined;
    this.#extents = [{ offset: 0, size: this.#data }];
    this.#realSize = pax?.realSize ?? old?.realSize ?? this.#data;
    if (typeflag === "S") {
      if (old === undefined || pax !== undefined) {
        throw new TarError(`'${this.#name}' is sparse in a format that is not known`);
      }
      this.#extents = [...old.extents];
      if (old.extended) {
        this.#state = "sparse-blocks";
        return;
      }
    } else if (pax?.extents !== undefined) this.#extents = [...pax.extents];
    else if (pax !== undefined) {
      this.#sparseMap = new SparseMapCollector();
      this.#state = "sparse-map";
      return;
    }
    this.#emit("file");
  }

  #useSparseBlock(block: Uint8Array<ArrayBuffer>): void {
    addExtents(this.#extents, decodeExtents(block, 0, 21, this.#name), this.#name);
    if (block[504] !== 1) this.#emit("file");
  }

  #useSparseMapBlock(block: Uint8Array<ArrayBuffer>): void {
    this.#data -= blockSize;
    if (this.#data < 0) throw new TarError(`the sparse map of '${this.#name}' does not end`);
    const extents = this.#sparseMap.add(block, this.#name);
    if (extents === undefined) return;
    this.#extents = extents;
    this.#emit("file");
  }

  /** The entry is known whole: hand it on, and read its content. */
  #emit(type: EntryType): void {
    const header = this.#header;
    if (header === undefined) throw new Error("an entry without a header");
    const isFile = type === "file";
    const isSparse = isFile && this.#isSparse;
    if (isSparse) checkExtents(this.#extents, this.#realSize, this.#data, this.#name);
    const records = this.#records;
    this.#handler.entry({
      type,
      path: header.name,
      linkPath: header.linkname,
      mode: header.mode,
      uid: header.uid,
      gid: header.gid,
      mtime: paxTime(records, "mtime") ?? { seconds: header.mtime, nanoseconds: 0 },
      size: isFile ? this.#realSize : 0,
      device: { major: header.major, minor: header.minor },
      xattrs: paxXattrs(records),
      ...(isSparse ? { extents: this.#extents } : {}),
    });
    this.#extent = this.#within = 0;
    if (isFile && this.#data > 0) this.#state = "content";
    else this.#endEntry();
  }

  #takeContent(bytes: Uint8Array<ArrayBuffer>): number {
    const extent = this.#extents[this.#extent];
    if (extent === undefined) throw new Error("content beyond the last extent");
    const part = bytes.subarray(0, Math.min(this.#data, extent.size - this.#within));
    if (part.length > 0) this.#handler.content(part, extent.offset + this.#within);
    this.#within += part.length;
    this.#data -= part.length;
    if (this.#within === extent.size) {
      this.#extent++;
      this.#within = 0;
    }
    if (this.#data === 0) this.#endEntry();
    return part.length;
  }

  #endEntry(): void {
    this.#handler.end();
    this.#state = this.#data + this.#padding > 0 ? "skip" : "header";
  }

  #skipData(size: number): void {
    this.#data = size;
    this.#padding = paddingOf(size);
    if (this.#data + this.#padding > 0) this.#state = "skip";
  }

  #skip(bytes: Uint8Array<ArrayBuffer>): number {
    const taken = Math.min(bytes.length, this.#data + this.#padding);
    const data = Math.min(taken, this.#data);
    this.#data -= data;
    this.#padding -= taken - data;
    if (this.#data + this.#padding === 0) this.#state = "header";
    return taken;
  }
}

function paddingOf(size: number): number {
  return (blockSize - size % blockSize) % blockSize;
}

function checkedPath(path: ByteString, entry: ByteString): ByteString {
  if (path.length <= maxPath) return path;
  const start = display(entry).slice(0, 60);
  throw new TarError(`a path of ${path.length} bytes is too long: '${start}…'`);
}

function checkedId(id: number, entry: ByteString): number {
  if (id <= maxId) return id;
  throw new TarError(`the owner of '${display(entry)}' is out of range: ${id}`);
}
