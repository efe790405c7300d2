/**
 * Sparse maps: where a sparse file has content.
 *
 * Source: GNU tar manual, "Storing Sparse Files".
 *
 * @module
 */

import { byteString } from "./byte_string.ts";
import { type Extent, TarError } from "./entry.ts";

/** The map of the formats 0.0 and 0.1: numbers joined by commas. @throws {TarError} */
export function decodeSparseMap(value: Uint8Array | undefined, name: string): Extent[] {
  const text = byteString(value ?? new Uint8Array());
  return pairs(text === "" ? [] : text.split(","), name);
}

/** The map of the format 1.0, at the head of the content: numbers in lines, in whole blocks. */
export class SparseMapCollector {
  #text = "";
  readonly #numbers: string[] = [];

  /** @param maxExtents how many parts a file may have */
  constructor(readonly maxExtents: number) {}

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
      if (count > this.maxExtents) throw new TarError(`'${name}' has too many holes`);
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1), name);
    }
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
  if (numbers.length % 2 !== 0) throw new TarError(`the sparse map of '${name}' is malformed`);
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: number(numbers[2 * index], name),
    size: number(numbers[2 * index + 1], name),
  }));
}

function number(text: string | undefined, name: string): number {
  const value = /^\d{1,16}$/.test(text ?? "") ? Number(text) : NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new TarError(`the sparse map of '${name}' is malformed`);
}
