/**
 * Inflating gzip: any number of members, whatever follows the last one.
 *
 * The runtime's gunzip loses what it has inflated when bytes follow that are no gzip. So the frame of
 * each member, which is where its end and its checks are, is read here, and only the compressed data
 * in it is the runtime's.
 *
 * Source: RFC 1952.
 *
 * @module
 */

import { zlib } from "../std/node.ts";
import type { ByteQueue } from "./byte_queue.ts";
import { CompressionError } from "./compression_error.ts";
import { NativeInflater, pieceSize } from "./native_inflater.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Take = (bytes: Bytes) => void;

const flag = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const;

/** A header's name and comment may have any length; nobody writes as much as this. */
const maxHeader = 128 * 1024;

/**
 * A member of at most so many bytes, stored and inflated, is inflated at once: layers of eStargz have
 * a member for every file, and an inflater costs more than most of these.
 */
const smallMember = { stored: 64 * 1024, inflated: 1 << 20 } as const;

/**
 * Inflate all members. What follows the last one and does not begin like another is padding, as
 * gzip(1) and pigz have it: it is read, and not looked at.
 *
 * @param take given the inflated bytes in order, valid only during the call; what it throws ends all
 * @throws {CompressionError} when the bytes are damaged or end too early
 */
export async function inflateGzip(input: ByteQueue, take: Take): Promise<void> {
  do await inflateMember(input, take); while (isGzipMagic(await input.peek(2)));
  for (let rest = await input.peek(); rest.length > 0; rest = await input.peek()) {
    input.drop(rest.length);
  }
}

/** Whether bytes are those that a member begins with. */
export function isGzipMagic([a, b]: Uint8Array): boolean {
  return a === 0x1f && b === 0x8b;
}

async function inflateMember(input: ByteQueue, take: Take): Promise<void> {
  await skipHeader(input);
  let size = 0;
  let crc = 0;
  const checked = (bytes: Bytes): void => {
    size += bytes.length;
    crc = zlib().crc32(bytes, crc);
    take(bytes);
  };
  const small = inflateSmallMember(await input.peek());
  if (small === undefined) await inflateLargeMember(input, checked);
  else {
    checked(small.inflated);
    input.drop(small.stored);
  }
  const bytes = await input.peek(8);
  if (bytes.length < 8) throw truncated();
  const trailer = new DataView(bytes.buffer, bytes.byteOffset);
  if (trailer.getUint32(0, true) !== crc) {
    throw new CompressionError("its checksum (CRC-32) is wrong: it is damaged");
  }
  if (trailer.getUint32(4, true) !== size % 2 ** 32) {
    throw new CompressionError("its length is not the one it states: it is damaged");
  }
  input.drop(8);
}

async function skipHeader(input: ByteQueue): Promise<void> {
  const start = await input.peek(10);
  if (start.length < 10) throw truncated();
  const flags = start[3] ?? 0;
  if (start[2] !== 8 || (flags & flag.reserved) !== 0) {
    throw new CompressionError("a gzip member has a header that cannot be: it is damaged");
  }
  let at = 10;
  if ((flags & flag.extra) !== 0) {
    const [low = 0, high = 0] = (await header(at + 2)).subarray(at);
    at += 2 + low + 256 * high;
  }
  if ((flags & flag.name) !== 0) at = await afterNul(at);
  if ((flags & flag.comment) !== 0) at = await afterNul(at);
  if ((flags & flag.headerCrc) !== 0) {
    const bytes = await header(at + 2);
    const [low = 0, high = 0] = bytes.subarray(at);
    if ((zlib().crc32(bytes.subarray(0, at)) & 0xffff) !== low + 256 * high) {
      throw new CompressionError("the checksum of a gzip member's header is wrong: it is damaged");
    }
    at += 2;
  }
  await header(at);
  input.drop(at);

  async function header(least: number): Promise<Bytes> {
    const bytes = await input.peek(least);
    if (bytes.length < least) throw truncated();
    return bytes;
  }

  async function afterNul(from: number): Promise<number> {
    for (let least = from + 1;;) {
      const bytes = await header(least);
      const end = bytes.indexOf(0, from);
      if (end >= 0) return end + 1;
      if (bytes.length > maxHeader) {
        throw new CompressionError("a gzip member's name does not end: it is damaged");
      }
      least = bytes.length + 1;
    }
  }
}

/** @returns absent when the member is no small one, not here as a whole, or damaged */
function inflateSmallMember(bytes: Bytes): { inflated: Bytes; stored: number } | undefined {
  const options = { info: true, maxOutputLength: smallMember.inflated };
  try {
    // With `info` the result is another one, which the types do not know.
    const { buffer, engine } = zlib().inflateRawSync(
      bytes.subarray(0, smallMember.stored),
      options,
    ) as unknown as { buffer: Bytes; engine: { bytesWritten: number } };
    return { inflated: buffer, stored: engine.bytesWritten };
  } catch {
    // Why, the other way finds out.
    return undefined;
  }
}

async function inflateLargeMember(input: ByteQueue, take: Take): Promise<void> {
  using inflater = new NativeInflater(zlib().createInflateRaw({ chunkSize: pieceSize }), take);
  for (let before = 0;; before = inflater.consumed) {
    const bytes = await input.peek();
    if (bytes.length === 0) throw truncated();
    await inflater.write(bytes);
    const used = inflater.consumed - before;
    input.drop(used);
    if (used < bytes.length) return;
  }
}

function truncated(): CompressionError {
  return new CompressionError("it ends in the middle of a gzip member: it is truncated");
}
