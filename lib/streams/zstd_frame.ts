/**
 * The skeleton of zstd frames: how long their parts are, without looking into them.
 *
 * Source: RFC 8878, sections 3.1.1 (frames and blocks) and 3.1.2 (skippable frames).
 *
 * @module
 */

import { CompressionError } from "./compression_error.ts";

/** The most bytes of a frame's header, the magic number included. */
export const maxFrameHeader = 18;

/** Size of a block's header. */
export const blockHeaderSize = 3;

/** Size of the checksum behind the last block. */
export const checksumSize = 4;

/** The most bytes that a block has, and that it inflates to. */
const maxBlock = 128 * 1024;

/** The largest window that is taken: what `zstd -d` takes unless it is told to take more. */
const maxWindow = 128 * 1024 * 1024;

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

/** The head of a frame. */
export interface FrameHeader {
  /** Bytes of the header; of a skippable frame: all of its bytes. */
  readonly size: number;
  /** Whether there is nothing to inflate in it. */
  readonly isSkippable: boolean;
  readonly hasChecksum: boolean;
}

/** Whether bytes are the magic number of a frame, skippable or not. */
export function isFrameMagic(bytes: Uint8Array): boolean {
  const magic = littleEndian(bytes, 0, 4);
  return bytes.length >= 4 && (magic === frameMagic || isSkippable(magic));
}

/**
 * Decode the head of a frame.
 *
 * @param bytes at least {@linkcode maxFrameHeader}, fewer only when there are no more
 * @returns absent when there are too few bytes
 * @throws {CompressionError} when it is no frame, or one that cannot be read
 */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader | undefined {
  if (bytes.length < 5) return undefined;
  if (!isFrameMagic(bytes)) {
    throw new CompressionError("what follows its last frame is no zstd: it is damaged");
  }
  if (isSkippable(littleEndian(bytes, 0, 4))) {
    if (bytes.length < 8) return undefined;
    return { size: 8 + littleEndian(bytes, 4, 4), isSkippable: true, hasChecksum: false };
  }
  const descriptor = bytes[4] ?? 0;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) {
    throw new CompressionError("a zstd frame has a header that cannot be: it is damaged");
  }
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const size = 5 + (isSingleSegment ? 0 : 1) + dictionaryId + contentSize;
  if (bytes.length < size) return undefined;
  const window = isSingleSegment
    ? littleEndian(bytes, size - contentSize, contentSize)
    : windowSize(bytes[5] ?? 0);
  if (window > maxWindow) {
    throw new CompressionError(
      `a zstd frame has a window of ${window} bytes, the limit is ${maxWindow}`,
    );
  }
  return { size, isSkippable: false, hasChecksum: (descriptor & 0x04) !== 0 };
}

/**
 * Decode the header of a block.
 *
 * @param bytes at least {@linkcode blockHeaderSize}
 * @returns its size with this header, and whether it is the frame's last
 * @throws {CompressionError} when it cannot be
 */
export function decodeBlockHeader(
  bytes: Uint8Array,
): { readonly size: number; readonly isLast: boolean } {
  const header = littleEndian(bytes, 0, blockHeaderSize);
  const type = header >> 1 & 3;
  const size = header >> 3;
  if (type === 3 || size > maxBlock) {
    throw new CompressionError("a zstd block has a header that cannot be: it is damaged");
  }
  const isRun = type === 1;
  return { size: blockHeaderSize + (isRun ? 1 : size), isLast: (header & 1) === 1 };
}

/**
 * How long a frame is that is here as a whole.
 *
 * @param header what these bytes begin with
 * @param maxBlocks how many blocks it may have
 * @returns absent when it goes on beyond these bytes or has more blocks
 * @throws {CompressionError} when a block cannot be
 */
export function wholeFrameSize(
  bytes: Uint8Array,
  header: FrameHeader,
  maxBlocks: number,
): number | undefined {
  let at = header.size;
  for (let blocks = 0; blocks < maxBlocks && at + blockHeaderSize <= bytes.length; blocks++) {
    const { size, isLast } = decodeBlockHeader(bytes.subarray(at));
    at += size;
    if (!isLast) continue;
    if (header.hasChecksum) at += checksumSize;
    return at <= bytes.length ? at : undefined;
  }
  return undefined;
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) === skippableMagic;
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}

/** An unsigned number of at most eight bytes; large ones lose digits, which no limit here minds. */
function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let index = length - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
