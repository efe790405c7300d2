/**
 * The 512-byte header block of tar: v7, ustar (POSIX.1-1988) and GNU.
 *
 * Sources: POSIX pax(1), "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 *
 * @module
 */

import { type ByteString, byteString } from "./byte_string.ts";
import { type Extent, TarError } from "./entry.ts";

/** Size of a block. */
export const blockSize = 512;

/** A header block, decoded but not interpreted. */
export interface Header {
  readonly name: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeflag: string;
  readonly linkname: ByteString;
  readonly major: number;
  readonly minor: number;
  /** The sparse map of an old GNU sparse file. */
  readonly sparse: {
    readonly extents: readonly Extent[];
    readonly extended: boolean;
    readonly realSize: number;
  } | undefined;
}

/** Where fields begin that are looked at by themselves. */
const checksumAt = 148;
const magicAt = 257;

/** Whether a block is all zeroes: two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < blockSize; at++) if (block[at] !== 0) return false;
  return true;
}

/**
 * Decode a header block.
 *
 * @param block 512 bytes, not all zero
 * @throws {TarError} on a wrong checksum or a number that is none
 */
export function decodeHeader(block: Uint8Array): Header {
  verifyChecksum(block);
  const name = text(block, 0, 100);
  const isUstar = block[magicAt] === 0x75 && text(block, magicAt, 5) === "ustar";
  const isGnu = isUstar && text(block, magicAt, 8) === "ustar  ";
  const hasPrefix = isUstar && !isGnu || isGnu && hasStrayPrefix(block);
  const prefix = hasPrefix ? text(block, 345, 155) : "";
  const typeflag = String.fromCharCode(block[156] ?? 0);
  return {
    name: (prefix === "" ? name : `${prefix}/${name}`) as ByteString,
    mode: number(block, 100, 8, "mode", name) & 0o7777,
    uid: number(block, 108, 8, "uid", name),
    gid: number(block, 116, 8, "gid", name),
    size: number(block, 124, 12, "size", name),
    mtime: number(block, 136, 12, "mtime", name, true),
    typeflag,
    linkname: text(block, 157, 100),
    major: isUstar ? number(block, 329, 8, "device", name) : 0,
    minor: isUstar ? number(block, 337, 8, "device", name) : 0,
    sparse: isGnu && typeflag === "S" ? oldSparse(block, name) : undefined,
  };
}

function oldSparse(block: Uint8Array, name: ByteString): NonNullable<Header["sparse"]> {
  return {
    extents: decodeExtents(block, 386, 4, name),
    extended: block[482] === 1,
    realSize: number(block, 483, 12, "size", name),
  };
}

/**
 * The extents in a block of an old GNU sparse map.
 *
 * @param at where they begin
 * @param count how many there is room for; an empty one ends them
 */
export function decodeExtents(
  block: Uint8Array,
  at: number,
  count: number,
  name: string,
): Extent[] {
  const extents: Extent[] = [];
  for (let index = 0; index < count; index++) {
    const field = at + index * 24;
    if (block[field] === 0) break;
    extents.push({
      offset: number(block, field, 12, "sparse map", name),
      size: number(block, field + 12, 12, "sparse map", name),
    });
  }
  return extents;
}

/**
 * Whether a header of GNU has the first part of a name as ustar has it, where its two other times
 * belong: Go wrote such before 1.8, and everything in Go has read it since.
 */
function hasStrayPrefix(block: Uint8Array): boolean {
  const isTime = (at: number): boolean => {
    const first = block[at] ?? 0;
    return first === 0 || (first & 0x80) !== 0 || octal(block, at, 12) !== undefined;
  };
  return !(isTime(345) && isTime(357)) && /^[ -~]+$/.test(text(block, 345, 155));
}

function verifyChecksum(block: Uint8Array): void {
  const stated = octal(block, checksumAt, 8);
  const sum = sumOf(block);
  if (stated === sum) return;
  // Some old programs added up signed bytes.
  let signed = sum;
  for (let at = 0; at < blockSize; at++) {
    const isField = at >= checksumAt && at < checksumAt + 8;
    if (!isField && (block[at] ?? 0) > 127) signed -= 256;
  }
  if (stated !== signed) {
    throw new TarError("a header's checksum is wrong: this is no tar, or it is damaged");
  }
}

/** The sum of a header's bytes; the field that it stands in counts as spaces. */
function sumOf(block: Uint8Array): number {
  let sum = 8 * 0x20;
  // Of each header: by four it takes half the time.
  for (let at = 0; at < blockSize; at += 4) {
    sum += (block[at] ?? 0) + (block[at + 1] ?? 0) + (block[at + 2] ?? 0) + (block[at + 3] ?? 0);
  }
  for (let at = checksumAt; at < checksumAt + 8; at++) sum -= block[at] ?? 0;
  return sum;
}

function text(block: Uint8Array, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return byteString(block, at, end);
}

/** A number: octal digits between spaces and NULs, or GNU's base 256. */
function number(
  block: Uint8Array,
  at: number,
  length: number,
  what: string,
  name: string,
  mayBeNegative = false,
): number {
  const isBinary = ((block[at] ?? 0) & 0x80) !== 0;
  const value = isBinary ? base256(block.subarray(at, at + length)) : octal(block, at, length);
  if (value === undefined) throw new TarError(`the ${what} of '${name}' is no number`);
  if (!Number.isSafeInteger(value) || value < 0 && !mayBeNegative) {
    throw new TarError(`the ${what} of '${name}' is out of range`);
  }
  return value;
}

/**
 * Octal digits. Some old programs put a NUL before them; all end them with a space, a NUL, or the
 * field.
 *
 * @returns absent when it is no number
 */
function octal(block: Uint8Array, from: number, length: number): number | undefined {
  const end = from + length;
  let at = from;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  while (at < end && block[at] === 0x20) at++;
  return at === end || block[at] === 0 ? value : undefined;
}

/** Big-endian two's complement; the highest bit only marks the format, the next one is the sign. */
function base256(field: Uint8Array): number {
  const first = field[0] ?? 0;
  let value = (first & 0x40) === 0 ? first & 0x3f : (first & 0x7f) - 0x80;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return value;
}
