/**
 * Compressed bytes in, a tar's bytes out.
 *
 * @module
 */

import { createGunzip, createZstdDecompress } from "node:zlib";
import { pipeline } from "node:stream/promises";
import { EnrootError, reasonOf } from "../errors.ts";
import type { LayerCompression } from "../oci/media_type.ts";

/** How large the pieces are that inflated bytes come in. */
const pieceSize = 256 * 1024;

/**
 * How stored bytes are compressed, by their first bytes.
 *
 * @param start at least the first four bytes, fewer only when there are no more
 */
export function sniffCompression(start: Uint8Array): LayerCompression {
  const [a, b, c, d] = start;
  if (a === 0x1f && b === 0x8b) return "gzip";
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  // A zstd stream may begin with a skippable frame.
  if (a !== undefined && (a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d && d === 0x18) {
    return "zstd";
  }
  return "none";
}

/**
 * Inflate a stream.
 *
 * @param source the stored bytes
 * @param take given the inflated bytes in order, valid only during the call; what it throws ends all
 * @param what the thing that is read, for messages
 * @throws {EnrootError} code `bad-compression` when the bytes are not what they are said to be
 */
export async function inflate(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  compression: LayerCompression,
  take: (bytes: Uint8Array<ArrayBuffer>) => void,
  what: string,
): Promise<void> {
  let isFirst = true;
  async function* checked(): AsyncIterable<Uint8Array<ArrayBuffer>> {
    for await (const bytes of source) {
      if (isFirst) {
        isFirst = false;
        const actual = sniffCompression(bytes);
        if (actual !== compression) {
          throw new EnrootError(
            "bad-compression",
            `${what} is said to be ${nameOf(compression)}, but its bytes are ${nameOf(actual)}`,
          );
        }
      }
      yield bytes;
    }
  }
  if (compression === "none") {
    for await (const bytes of checked()) take(bytes);
    return;
  }
  const inflater = compression === "gzip"
    ? createGunzip({ chunkSize: pieceSize })
    : createZstdDecompress({ chunkSize: pieceSize });
  let failure: unknown;
  try {
    await pipeline(
      checked(),
      inflater,
      async (inflated: AsyncIterable<Uint8Array<ArrayBuffer>>) => {
        for await (const bytes of inflated) {
          try {
            take(bytes);
          } catch (error) {
            failure = error;
            throw error;
          }
        }
      },
    );
  } catch (error) {
    // The pipeline may report the end it made of the other stages in the place of the cause.
    const cause = failure ?? error;
    if (cause instanceof EnrootError) throw cause;
    if (failure !== undefined) throw failure;
    throw new EnrootError(
      "bad-compression",
      `${what} cannot be inflated: ${reasonOf(error)}: it is truncated or damaged`,
      { cause: error },
    );
  }
}

function nameOf(compression: LayerCompression): string {
  return compression === "none" ? "plain" : compression;
}
