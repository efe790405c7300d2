/**
 * Inflating zstd: any number of frames, skippable ones among them.
 *
 * The runtime's inflater ends with the first frame, takes a frame that is cut short for a whole one,
 * and throws where nobody can catch it when it meets damage after its output buffer was full. So each
 * frame gets an inflater of its own, which is given one block at a time: a block is decoded as a whole
 * before any of it is put out, and damage shows in time.
 *
 * @module
 */

import { zlib } from "../std/node.ts";
import type { ByteQueue } from "./byte_queue.ts";
import { CompressionError } from "./compression_error.ts";
import { damaged, NativeInflater, pieceSize } from "./native_inflater.ts";
import {
  blockHeaderSize,
  checksumSize,
  decodeBlockHeader,
  decodeFrameHeader,
  type FrameHeader,
  maxFrameHeader,
  wholeFrameSize,
} from "./zstd_frame.ts";

type Take = (bytes: Uint8Array<ArrayBuffer>) => void;

/**
 * A frame of at most so many blocks, which is at most 1 MiB of content, is inflated at once: layers
 * of zstd:chunked have a frame for every file, and an inflater costs more than most of these.
 */
const smallFrame = 8;

/**
 * Inflate all frames.
 *
 * @param take given the inflated bytes in order, valid only during the call; what it throws ends all
 * @throws {CompressionError} when the bytes are damaged or end too early
 */
export async function inflateZstd(input: ByteQueue, take: Take): Promise<void> {
  while ((await input.peek()).length > 0) {
    const bytes = await input.peek(maxFrameHeader);
    const header = decodeFrameHeader(bytes);
    if (header === undefined) throw truncated();
    if (header.isSkippable) {
      await skip(input, header.size);
      continue;
    }
    const size = wholeFrameSize(bytes, header, smallFrame);
    if (size === undefined) await inflateLargeFrame(input, header, take);
    else {
      take(inflateSmallFrame(bytes.subarray(0, size)));
      input.drop(size);
    }
  }
}

function inflateSmallFrame(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  try {
    return zlib().zstdDecompressSync(frame) as Uint8Array<ArrayBuffer>;
  } catch (error) {
    throw damaged(error);
  }
}

async function inflateLargeFrame(input: ByteQueue, header: FrameHeader, take: Take): Promise<void> {
  using inflater = new NativeInflater(zlib().createZstdDecompress({ chunkSize: pieceSize }), take);
  const write = async (size: number): Promise<void> => {
    const bytes = await input.peek(size);
    if (bytes.length < size) throw truncated();
    await inflater.write(bytes.subarray(0, size));
    input.drop(size);
  };
  await write(header.size);
  for (let isLast = false; !isLast;) {
    const bytes = await input.peek(blockHeaderSize);
    if (bytes.length < blockHeaderSize) throw truncated();
    const block = decodeBlockHeader(bytes);
    await write(block.size);
    isLast = block.isLast;
  }
  if (header.hasChecksum) await write(checksumSize);
}

async function skip(input: ByteQueue, size: number): Promise<void> {
  for (let left = size; left > 0;) {
    const { length } = await input.peek();
    if (length === 0) throw truncated();
    const part = Math.min(length, left);
    input.drop(part);
    left -= part;
  }
}

function truncated(): CompressionError {
  return new CompressionError("it ends in the middle of a zstd frame: it is truncated");
}
