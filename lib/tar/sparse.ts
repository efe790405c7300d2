/**
 * Sparse maps: where a sparse file has content.
 *
 * Source: GNU tar manual, "Storing Sparse Files".
 *
 * @module
 */

import { type ByteString, byteString } from "./byte_string.ts";
import { type Extent, TarError } from "./entry.ts";
import { paxName, paxNumber, type PaxRecords } from "./pax.ts";

/** The most extents of one sparse file. */
const maxExtents = 1 << 20;

/** The most digits of a number that is exact. */
const maxDigits = 16;

/** What the extended header of a sparse file says. */
export interface PaxSparse {
  /** Its name; that of the header is another, for programs that know no sparse files. */
  readonly name?: ByteString;
  /** The size of the file; absent when it is the size of what is stored. */
  readonly realSize?: number;
  /** Its parts, as the formats 0.0 and 0.1 have them; absent: the content begins with the map (1.0). */
  readonly extents?: readonly Extent[];
}

/**
 * What an extended header says of a sparse file.
 *
 * @param records of the file itself; a global header has no say in where one file has holes
 * @returns absent when the file is stored whole
 * @throws {TarError} when it is malformed, or of a version that is not known
 */
export function paxSparse(records: PaxRecords, name: string): PaxSparse | undefined {
  const [major, minor] = ["major", "minor"].map((part) => paxNumber(records, `GNU.sparse.${part}`));
  const size = paxNumber(records, "GNU.sparse.size") ?? paxNumber(records, "GNU.sparse.realsize");
  const path = paxName(records, "GNU.sparse.name");
  const common = {
    ...(path === undefined ? {} : { name: path }),
    ...(size === undefined ? {} : { realSize: size }),
  };
  if (major === 1 && minor === 0) return common;
  const isUnversioned = major === undefined && minor === undefined;
  if (!isUnversioned && !(major === 0 && (minor === 0 || minor === 1))) {
    throw new TarError(`'${name}' is sparse in a format that is not known`);
  }
  const map = records.get("GNU.sparse.map");
  if (map === undefined) {
    if (isUnversioned) return undefined;
    throw new TarError(`'${name}' is sparse and has no map`);
  }
  const text = byteString(map);
  const extents = pairs(text === "" ? [] : text.split(","), name);
  if ((paxNumber(records, "GNU.sparse.numblocks") ?? extents.length) !== extents.length) {
    throw malformed(name);
  }
  return { ...common, extents };
}

/** More extents of a file, within what one file may have. @throws {TarError} */
export function addExtents(extents: Extent[], more: readonly Extent[], name: string): void {
  extents.push(...more);
  checkCount(extents.length, name);
}

/** The map of the format 1.0, at the head of the content: numbers in lines, in whole blocks. */
export class SparseMapCollector {
  #text = "";
  readonly #numbers: string[] = [];

  /**
   * Read a block.
   *
   * @returns the extents once the map is complete; the rest of the block is padding
   * @throws {TarError} when it is malformed
   */
  add(block: Uint8Array, name: string): Extent[] | undefined {
    const lines = (this.#text + byteString(block)).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      this.#numbers.push(line);
      const count = number(this.#numbers[0], name);
      checkCount(count, name);
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1), name);
    }
    if (this.#text.length > maxDigits) throw malformed(name);
    return undefined;
  }
}

/**
 * Check that extents make sense.
 *
 * @param realSize the size of the file
 * @param stored how many bytes of content there are
 * @throws {TarError} when they overlap, leave the file or do not account for the content
 */
export function checkExtents(
  extents: readonly Extent[],
  realSize: number,
  stored: number,
  name: string,
): void {
  let end = 0;
  let sum = 0;
  for (const { offset, size } of extents) {
    if (offset < end || offset + size > realSize) {
      throw new TarError(`the sparse map of '${name}' makes no sense`);
    }
    end = offset + size;
    sum += size;
  }
  if (sum !== stored) throw new TarError(`the sparse map of '${name}' does not fit its content`);
}

function pairs(numbers: readonly string[], name: string): Extent[] {
  if (numbers.length % 2 !== 0) throw malformed(name);
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: number(numbers[2 * index], name),
    size: number(numbers[2 * index + 1], name),
  }));
}

function number(text: string | undefined, name: string): number {
  const value = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw malformed(name);
}

function checkCount(count: number, name: string): void {
  if (count > maxExtents) throw new TarError(`'${name}' has too many holes`);
}

function malformed(name: string): TarError {
  return new TarError(`the sparse map of '${name}' is malformed`);
}
