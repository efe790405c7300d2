/**
 * One layer, from its stored bytes to the root folder, checked on the way.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { EnrootError } from "../errors.ts";
import { DigestMismatchError } from "../oci/digest.ts";
import type { ApplyLayer, LayerSummary } from "../pool/protocol.ts";
import { readRegion } from "../streams/file_region.ts";
import { inflate } from "../streams/inflate.ts";
import { TarReader } from "../tar/reader.ts";
import { Applier } from "./applier.ts";
import { Metadata } from "./metadata.ts";

/** A ratio is only judged once this many bytes came out: small archives compress to almost nothing. */
const judgedFrom = 16 << 20;

/**
 * Apply a layer.
 *
 * Both digests of every byte are checked, those behind the end of the archive too. Until this has
 * succeeded the root folder holds unchecked content and must not be used.
 *
 * @param request what to apply where
 * @param onProgress told how many more stored bytes were read
 * @throws {EnrootError} naming the layer, the entry and the reason; code `cancelled` when its word was
 * set
 */
export async function applyLayer(
  request: ApplyLayer,
  onProgress: (bytes: number) => void,
): Promise<LayerSummary> {
  const { name, file, compression, digest, diffId, ownership } = request;
  const cancelled = new Int32Array(request.cancelled);
  const metadata = new Metadata(ownership === "numeric", Deno.uid() === 0);
  using applier = new Applier(request.root, metadata);
  const reader = new TarReader(applier);
  const storedHash = digest === undefined ? undefined : createHash("sha256");
  const tarHash = createHash("sha256");
  let read = 0;
  let tarSize = 0;

  async function* stored(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const bytes of readRegion(file, name)) {
      if (Atomics.load(cancelled, 0) !== 0) {
        throw new EnrootError("cancelled", `${name}: cancelled`);
      }
      storedHash?.update(bytes);
      read += bytes.length;
      onProgress(bytes.length);
      yield bytes;
    }
  }

  try {
    await inflate(stored(), compression, (bytes) => {
      tarSize += bytes.length;
      checkLimits(request, tarSize, read);
      tarHash.update(bytes);
      reader.write(bytes);
    }, name);
    reader.end();
  } catch (error) {
    throw await explained(error);
  }
  checkDigest(name, digest, storedHash?.digest("hex"));
  checkDigest(`${name}, uncompressed,`, diffId, tarHash.digest("hex"));
  applier.finish();
  return {
    entries: applier.entries,
    tarSize,
    skippedDevices: applier.skippedDevices,
    skippedXattrs: metadata.skippedXattrs,
  };

  /** Damaged bytes show up as all sorts of failures; the digest says what it really is. */
  async function explained(error: unknown): Promise<unknown> {
    if (!(error instanceof EnrootError)) return error;
    if (!["bad-archive", "bad-compression"].includes(error.code)) return error;
    if (digest !== undefined) {
      const hash = createHash("sha256");
      for await (const bytes of readRegion(file, name)) hash.update(bytes);
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual !== digest) return new DigestMismatchError(name, digest, actual);
    }
    return new EnrootError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

function checkDigest(what: string, expected: string | undefined, hex: string | undefined): void {
  if (expected === undefined || expected === `sha256:${hex}`) return;
  throw new DigestMismatchError(what, expected, `sha256:${hex}`);
}

function checkLimits({ name, limits }: ApplyLayer, tarSize: number, read: number): void {
  if (limits.maxSize !== undefined && tarSize > limits.maxSize) {
    throw new EnrootError(
      "too-large",
      `${name} has more than ${limits.maxSize} bytes (ENROOT_MAX_LAYER_SIZE)`,
    );
  }
  if (
    limits.maxInflateRatio !== undefined && tarSize > judgedFrom &&
    tarSize > read * limits.maxInflateRatio
  ) {
    throw new EnrootError(
      "too-large",
      `${name} inflates to more than ${limits.maxInflateRatio} times its size ` +
        "(ENROOT_MAX_INFLATE_RATIO)",
    );
  }
}
