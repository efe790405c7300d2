/**
 * What is where in an archive: its members as regions of the archive's file, nothing extracted.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { blockSize } from "../tar/header.ts";
import { display } from "../tar/byte_string.ts";
import { TarReader } from "../tar/reader.ts";
import type { TarEntry } from "../tar/entry.ts";
import type { LayerFile } from "./image.ts";

/** How deep links may lead to links. */
const maxLinks = 8;

/** The members of an archive by their normalized paths. */
export class TarIndex {
  readonly #path: string;
  readonly #files = new Map<string, LayerFile>();
  readonly #links = new Map<string, string>();

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Read the headers of an archive, seeking over contents.
   *
   * @param path an uncompressed tar
   * @param what what it is called in messages
   * @throws {EnrootError} when it cannot be read, is no tar, or ends before a member does
   */
  static open(path: string, what: string): TarIndex {
    const index = new TarIndex(path);
    try {
      index.#scan();
    } catch (error) {
      if (error instanceof EnrootError) {
        throw new EnrootError(error.code, `${what}: ${error.message}`, { cause: error });
      }
      throw new EnrootError("cannot-read", `cannot read ${what}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    return index;
  }

  /** A member, through links inside the archive; `undefined` when there is none. */
  find(path: string): LayerFile | undefined {
    let name = normalize(path);
    for (let count = 0; count < maxLinks; count++) {
      const file = this.#files.get(name);
      if (file !== undefined) return file;
      const link = this.#links.get(name);
      if (link === undefined) return undefined;
      name = link;
    }
    return undefined;
  }

  #scan(): void {
    using file = Deno.openSync(this.#path);
    const { size: end } = file.statSync();
    const block = new Uint8Array(blockSize);
    let position = 0;
    const reader = new TarReader({
      entry: (entry) => this.#note(entry, position),
      content: () => {},
      end: () => {},
    });
    while (position < end && readBlock(file, position, block)) {
      position += blockSize;
      reader.write(block);
      position += reader.skipContent();
      if (position > end) throw new EnrootError("truncated", "the archive is truncated");
    }
    reader.end();
  }

  #note(entry: TarEntry, offset: number): void {
    const name = normalize(display(entry.path));
    if (entry.type === "file" && entry.extents === undefined) {
      this.#files.set(name, { path: this.#path, offset, size: entry.size });
      this.#links.delete(name);
    }
    const target = display(entry.linkPath);
    if (entry.type === "hardlink") this.#links.set(name, normalize(target));
    if (entry.type === "symlink") {
      const folder = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
      this.#links.set(name, normalize(target.startsWith("/") ? target : `${folder}/${target}`));
    }
  }
}

/** A path without `.`, `..` and doubled slashes, relative to the archive's top. */
export function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function readBlock(file: Deno.FsFile, position: number, block: Uint8Array): boolean {
  file.seekSync(position, Deno.SeekMode.Start);
  for (let at = 0; at < block.length;) {
    const length = file.readSync(block.subarray(at));
    if (length === null) {
      if (at === 0) return false;
      throw new EnrootError("truncated", "the archive is truncated");
    }
    at += length;
  }
  return true;
}
