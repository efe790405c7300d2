/**
 * One layer, from its stored bytes to the root folder, checked on the way.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { DigestMismatchError } from "../oci/digest.ts";
import type { ApplyLayer, LayerSummary } from "../pool/protocol.ts";
import { createSha256 } from "../std/node.ts";
import { readRegion } from "../streams/file_region.ts";
import { inflate } from "../streams/inflate.ts";
import { TarReader } from "../tar/reader.ts";
import { Applier } from "./applier.ts";
import { Guard } from "./guard.ts";
import { Metadata } from "./metadata.ts";

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
  const guard = new Guard(request);
  const metadata = new Metadata(ownership === "numeric", Deno.uid() === 0);
  using applier = new Applier(request.root, metadata, guard);
  const reader = new TarReader(applier);
  const storedHash = digest === undefined ? undefined : createSha256();
  const tarHash = createSha256();

  async function* stored(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const bytes of readRegion(file, name)) {
      guard.stored(bytes.length);
      storedHash?.update(bytes);
      onProgress(bytes.length);
      yield bytes;
    }
  }

  try {
    await inflate(stored(), compression, (bytes) => {
      guard.tar(bytes.length);
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
    tarSize: guard.tarSize,
    skippedDevices: applier.skippedDevices,
    skippedXattrs: metadata.skippedXattrs,
  };

  /** Damaged bytes show up as all sorts of failures; the digest says what it really is. */
  async function explained(error: unknown): Promise<unknown> {
    if (!(error instanceof EnrootError)) return error;
    if (!["bad-archive", "bad-compression"].includes(error.code)) return error;
    if (digest !== undefined) {
      const hash = createSha256();
      for await (const bytes of readRegion(file, name)) hash.update(bytes);
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual !== digest) return new DigestMismatchError(name, digest, actual);
    }
    // What comes from inflating names the layer already.
    if (error.code === "bad-compression") return error;
    return new EnrootError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

function checkDigest(what: string, expected: string | undefined, hex: string | undefined): void {
  if (expected === undefined || expected === `sha256:${hex}`) return;
  throw new DigestMismatchError(what, expected, `sha256:${hex}`);
}
