/**
 * Extended headers of pax.
 *
 * Sources: POSIX pax(1), "pax Extended Header"; GNU tar manual, "Storing Sparse Files"; the xattr
 * keywords of star (`SCHILY.xattr.`) and libarchive (`LIBARCHIVE.xattr.`).
 *
 * @module
 */

import { type ByteString, byteString } from "./byte_string.ts";
import { TarError } from "./entry.ts";

/** Records by keyword; an empty value takes back what a global header said. */
export type PaxRecords = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/**
 * Read the records of an extended header: `LENGTH KEYWORD=VALUE\n`, one after the other.
 *
 * Of GNU's `sparse.offset` and `sparse.numbytes`, which repeat, the values are joined by commas into
 * `GNU.sparse.map`, which says the same.
 *
 * @throws {TarError} when it is malformed
 */
export function decodePax(bytes: Uint8Array<ArrayBuffer>): PaxRecords {
  const records = new Map<string, Uint8Array<ArrayBuffer>>();
  const map: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? NaN : decimal(byteString(bytes.subarray(at, space)));
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    // A keyword has one character at least, and the value ends in a line end of its own.
    const isRecord = length > 0 && end <= bytes.length && equals > space + 1 && equals < end - 1 &&
      bytes[end - 1] === 0x0a;
    if (!isRecord) throw new TarError("a pax header is malformed");
    const keyword = byteString(bytes.subarray(space + 1, equals));
    const value = bytes.slice(equals + 1, end - 1);
    if (keyword === "GNU.sparse.offset" || keyword === "GNU.sparse.numbytes") {
      const isExpected = (keyword === "GNU.sparse.offset") === (map.length % 2 === 0);
      if (!isExpected || value.includes(0x2c)) {
        throw new TarError("a pax header has a malformed sparse map");
      }
      map.push(byteString(value));
    } else records.set(keyword, value);
    at = end;
  }
  if (map.length > 0) records.set("GNU.sparse.map", new TextEncoder().encode(map.join(",")));
  return records;
}

/** A record as a name: no NUL may be in it. @throws {TarError} */
export function paxName(records: PaxRecords, keyword: string): ByteString | undefined {
  const value = records.get(keyword);
  if (value === undefined || value.length === 0) return undefined;
  if (value.includes(0)) throw new TarError(`a pax header's ${keyword} holds a NUL`);
  return byteString(value);
}

/** A record as a number of zero or more. @throws {TarError} */
export function paxNumber(records: PaxRecords, keyword: string): number | undefined {
  const value = records.get(keyword);
  if (value === undefined || value.length === 0) return undefined;
  const number = decimal(byteString(value));
  if (!Number.isSafeInteger(number)) {
    throw new TarError(`a pax header's ${keyword} is no number in range`);
  }
  return number;
}

/** A record as a time: seconds, a sign and a fraction allowed. @throws {TarError} */
export function paxTime(
  records: PaxRecords,
  keyword: string,
): { seconds: number; nanoseconds: number } | undefined {
  const value = records.get(keyword);
  if (value === undefined || value.length === 0) return undefined;
  const [, sign = "", whole, fraction = ""] =
    /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(byteString(value)) ??
      [];
  if (whole === undefined) throw new TarError(`a pax header's ${keyword} is no time`);
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign === "") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

const noXattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>> = new Map();

/** The extended attributes in records. @throws {TarError} when a name holds a NUL or is empty */
export function paxXattrs(
  records: PaxRecords,
): ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>> {
  if (records.size === 0) return noXattrs;
  const xattrs = new Map<ByteString, Uint8Array<ArrayBuffer>>();
  for (const [keyword, value] of records) {
    if (keyword.startsWith("SCHILY.xattr.")) {
      set(keyword.slice("SCHILY.xattr.".length), value);
    } else if (keyword.startsWith("LIBARCHIVE.xattr.")) {
      const name = keyword.slice("LIBARCHIVE.xattr.".length).replaceAll(
        /%([0-9A-Fa-f]{2})/g,
        (_, hex) => String.fromCharCode(parseInt(hex, 16)),
      );
      // Both programs' records may stand side by side; star's is the plainer one.
      if (!records.has(`SCHILY.xattr.${name}`)) set(name, base64(value));
    }
  }
  return xattrs;

  function set(name: string, value: Uint8Array<ArrayBuffer>): void {
    if (name === "" || name.includes("\0")) {
      throw new TarError("a pax header names an extended attribute that cannot be");
    }
    xattrs.set(name as ByteString, value);
  }
}

function base64(value: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(byteString(value)), (character) => character.charCodeAt(0));
  } catch (error) {
    throw new TarError(`a pax header's extended attribute is no base 64: ${error}`);
  }
}

function decimal(text: string): number {
  return /^\d{1,16}$/.test(text) ? Number(text) : NaN;
}
