/**
 * How a `zfs send` stream begins, and whether it can be received as one file system of its own.
 *
 * A stream is a row of records of 312 bytes, some followed by a payload; the first is `DRR_BEGIN`
 * (`dmu_replay_record_t` and `struct drr_begin` in OpenZFS's `sys/zfs_ioctl.h`, the same from 0.6 to
 * 2.4), in the byte order of the machine that made it:
 *
 *     0   type          u32   0
 *     4   payload size  u32
 *     8   magic         u64   0x2f5bacbac
 *     16  version       u64   bits 0-1: 1 a stream, 2 a package; from bit 2 on: features
 *     32  content       u32   2 a file system, 3 a volume
 *     40  to            u64   GUID of the snapshot
 *     48  from          u64   GUID of the one that it is the difference to; 0: none
 *     56  name          256   of the snapshot, where it was sent, ends with a NUL
 *
 * A package (`send -p`, `-R`) has a list of properties as payload, an end record, and then streams.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** What a stream says of itself. Nobody vouches for it. */
export interface StreamHeader {
  /** Whether it is wrapped in a package, which brings properties. */
  readonly isPackage: boolean;
  readonly content: "filesystem" | "volume" | "other";
  /** The GUID of the snapshot, decimal. */
  readonly guid: string;
  /** The GUID of the snapshot that it is the difference to, decimal. */
  readonly from: string | undefined;
  /** As it was called where it was sent. */
  readonly name: string;
  /** What it takes that is not had everywhere: `raw`, `redacted`. */
  readonly features: readonly string[];
}

/** How many bytes of a file tell a stream from everything else. */
export const streamMagicLength = 16;

const recordSize = 312;
const magic = 0x2f5bacbacn;
const nameOffset = 56;
const nameLength = 256;
/** Properties of one file system are some hundred bytes. */
const maxPayload = 1 << 20;
const packageType = 2;

// DMU_BACKUP_FEATURE_REDACTED and _RAW.
const hindrances = { redacted: 1n << 21n, raw: 1n << 24n };

/** Whether bytes are the beginning of a stream. @param start at least {@linkcode streamMagicLength} */
export function isStreamStart(start: Uint8Array): boolean {
  return start.length >= streamMagicLength && byteOrder(start) !== undefined;
}

/**
 * Read the beginning of a stream.
 *
 * @param start its first bytes
 * @returns how many bytes it takes to tell more, when these are too few
 * @throws {EnrootError} code `bad-stream` when it is none
 */
export function parseStreamHeader(start: Uint8Array): StreamHeader | { readonly needs: number } {
  if (start.length < recordSize) return { needs: recordSize };
  const outer = parseBegin(start);
  if (!outer.isPackage) return outer;
  const payload = outer.payload;
  if (payload > maxPayload) throw bad(`its list of properties would take ${payload} bytes`);
  const at = recordSize + payload + recordSize;
  if (start.length < at + recordSize) return { needs: at + recordSize };
  const inner = parseBegin(start.subarray(at));
  if (inner.isPackage) throw bad("it is a package in a package");
  return { ...inner, isPackage: true };
}

/** What a stream must be to be received. */
export interface Expectation {
  /** Packages bring properties, and are for files. */
  readonly mayBePackage: boolean;
  /** The GUID that was announced. */
  readonly guid?: string;
  /** The GUID of what it must be the difference to; absent: it must be whole. */
  readonly from?: string;
}

/** @throws {EnrootError} code `bad-stream` when a stream is none that is expected */
export function assertExpected(header: StreamHeader, expected: Expectation): void {
  const { content, guid, from, features, isPackage } = header;
  if (content !== "filesystem") throw bad("it holds no file system");
  if (features.length > 0) {
    throw bad(`it was sent ${features.join(" and ")}, send it as it is read`);
  }
  if (isPackage && !expected.mayBePackage) throw bad("it brings properties with it");
  if (from !== undefined && expected.from === undefined) {
    throw bad("it is the difference to a snapshot that is elsewhere: send the whole");
  }
  if (from !== expected.from) throw bad("it is the difference to another snapshot");
  if (expected.guid !== undefined && guid !== expected.guid) throw bad("it is of another snapshot");
}

function bad(why: string): EnrootError {
  return new EnrootError("bad-stream", `this is no ZFS stream of a container: ${why}`);
}

function parseBegin(bytes: Uint8Array): StreamHeader & { readonly payload: number } {
  const isLittle = byteOrder(bytes);
  if (isLittle === undefined) throw bad("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, recordSize);
  const version = view.getBigUint64(16, isLittle);
  const from = view.getBigUint64(48, isLittle);
  const name = bytes.subarray(nameOffset, nameOffset + nameLength);
  const end = name.indexOf(0);
  const contents: Readonly<Record<number, "filesystem" | "volume">> = {
    2: "filesystem",
    3: "volume",
  };
  return {
    isPackage: Number(version & 3n) === packageType,
    content: contents[view.getUint32(32, isLittle)] ?? "other",
    guid: String(view.getBigUint64(40, isLittle)),
    from: from === 0n ? undefined : String(from),
    name: new TextDecoder().decode(end < 0 ? name : name.subarray(0, end)),
    features: Object.entries(hindrances)
      .filter(([, bit]) => (version >> 2n & bit) !== 0n).map(([feature]) => feature),
    payload: view.getUint32(4, isLittle),
  };
}

/** Whether a record is little-endian; `undefined` when it begins no stream. */
function byteOrder(bytes: Uint8Array): boolean | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== 0) return undefined;
  return [true, false].find((isLittle) => view.getBigUint64(8, isLittle) === magic);
}
