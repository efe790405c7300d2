/**
 * Compressed bytes in, a tar's bytes out.
 *
 * @module
 */

import type { LayerCompression } from "../oci/media_type.ts";
import { ByteQueue } from "./byte_queue.ts";
import { CompressionError } from "./compression_error.ts";
import { inflateGzip, isGzipMagic } from "./gzip.ts";
import { inflateZstd } from "./zstd.ts";
import { isFrameMagic } from "./zstd_frame.ts";

/**
 * How stored bytes are compressed, by their first bytes.
 *
 * @param start at least the first four bytes, fewer only when there are no more
 */
export function sniffCompression(start: Uint8Array): LayerCompression {
  if (isGzipMagic(start)) return "gzip";
  return isFrameMagic(start) ? "zstd" : "none";
}

/**
 * Inflate a stream, to its end. Memory is bounded, however much comes out.
 *
 * @param source the stored bytes; its pieces are the reader's to keep
 * @param take given the inflated bytes in order, valid only during the call; what it throws ends all
 * @param what the thing that is read, for messages
 * @throws {CompressionError} when the bytes are not what they are said to be, damaged, or cut short
 */
export async function inflate(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  compression: LayerCompression,
  take: (bytes: Uint8Array<ArrayBuffer>) => void,
  what: string,
): Promise<void> {
  await using input = new ByteQueue(source);
  const start = await input.peek(4);
  const actual = sniffCompression(start);
  if (actual !== compression) {
    const bytes = start.length === 0 ? "there are no bytes" : `its bytes are ${nameOf(actual)}`;
    throw new CompressionError(`${what} is said to be ${nameOf(compression)}, but ${bytes}`);
  }
  try {
    if (compression === "gzip") return await inflateGzip(input, take);
    if (compression === "zstd") return await inflateZstd(input, take);
  } catch (error) {
    if (!(error instanceof CompressionError)) throw error;
    throw new CompressionError(`${what} cannot be inflated: ${error.message}`, { cause: error });
  }
  for (let bytes = start; bytes.length > 0; bytes = await input.peek()) {
    take(bytes);
    input.drop(bytes.length);
  }
}

function nameOf(compression: LayerCompression): string {
  return compression === "none" ? "plain" : compression;
}
