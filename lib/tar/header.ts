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
  readonly sparse?: {
    readonly extents: readonly Extent[];
    readonly extended: boolean;
    readonly realSize: number;
  };
}

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
  const isGnu = text(block, 257, 8) === "ustar  ";
  const isUstar = !isGnu && text(block, 257, 5) === "ustar";
  const prefix = isUstar || isGnu && hasStrayPrefix(block) ? text(block, 345, 155) : "";
  const what = (field: string): string => `${field} of '${name}'`;
  const typeflag = String.fromCharCode(block[156] ?? 0);
  return {
    name: (prefix === "" ? name : `${prefix}/${name}`) as ByteString,
    mode: number(block, 100, 8, what("mode")) & 0o7777,
    uid: number(block, 108, 8, what("uid")),
    gid: number(block, 116, 8, what("gid")),
    size: number(block, 124, 12, what("size")),
    mtime: number(block, 136, 12, what("mtime"), true),
    typeflag,
    linkname: text(block, 157, 100),
    major: isUstar || isGnu ? number(block, 329, 8, what("device")) : 0,
    minor: isUstar || isGnu ? number(block, 337, 8, what("device")) : 0,
    ...(isGnu && typeflag === "S"
      ? {
        sparse: {
          extents: decodeExtents(block, 386, 4, name),
          extended: block[482] === 1,
          realSize: number(block, 483, 12, what("size")),
        },
      }
      : {}),
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
      offset: number(block, field, 12, `sparse map of '${name}'`),
      size: number(block, field + 12, 12, `sparse map of '${name}'`),
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
    return first === 0 || (first & 0x80) !== 0 || octal(block.subarray(at, at + 12)) !== undefined;
  };
  return !(isTime(345) && isTime(357)) && /^[ -~]+$/.test(text(block, 345, 155));
}

function verifyChecksum(block: Uint8Array): void {
  // The field itself counts as spaces; some old programs added up signed bytes.
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < blockSize; at++) {
    const byte = at >= 148 && at < 156 ? 32 : block[at] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stated = number(block, 148, 8, "checksum of a header");
  if (stated !== unsigned && stated !== signed) {
    throw new TarError("a header's checksum is wrong: this is no tar, or it is damaged");
  }
}

function text(block: Uint8Array, at: number, length: number): ByteString {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return byteString(end < 0 ? field : field.subarray(0, end));
}

/** A number: octal digits between spaces and NULs, or GNU's base 256. */
function number(
  block: Uint8Array,
  at: number,
  length: number,
  what: string,
  mayBeNegative = false,
): number {
  const first = block[at] ?? 0;
  const field = block.subarray(at, at + length);
  const value = (first & 0x80) === 0 ? octal(field) : base256(field);
  if (value === undefined) throw new TarError(`the ${what} is no number`);
  if (!Number.isSafeInteger(value) || value < 0 && !mayBeNegative) {
    throw new TarError(`the ${what} is out of range`);
  }
  return value;
}

/**
 * Octal digits. Some old programs put a NUL before them; all end them with a space, a NUL, or the
 * field.
 *
 * @returns absent when it is no number
 */
function octal(field: Uint8Array): number | undefined {
  let at = 0;
  while (field[at] === 0x20 || field[at] === 0) at++;
  let value = 0;
  for (; at < field.length; at++) {
    const digit = (field[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  while (field[at] === 0x20) at++;
  return at === field.length || field[at] === 0 ? value : undefined;
}

/** Big-endian two's complement; the highest bit only marks the format, the next one is the sign. */
function base256(field: Uint8Array): number {
  const first = field[0] ?? 0;
  let value = (first & 0x40) === 0 ? first & 0x3f : (first & 0x7f) - 0x80;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return value;
}
