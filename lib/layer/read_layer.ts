/**
 * A layer's tar, from its stored bytes, checked on the way.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { DigestMismatchError } from "../oci/digest.ts";
import type { LayerCompression } from "../oci/media_type.ts";
import type { StoredLayer } from "../pool/protocol.ts";
import { createSha256 } from "../std/node.ts";
import { readRegion } from "../streams/file_region.ts";
import { inflate } from "../streams/inflate.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A running sum of a layer's tar, and what it is to be. */
export class TarSum {
  readonly #hash = createSha256();
  readonly #layer: Pick<StoredLayer, "name" | "diffId">;

  constructor(layer: Pick<StoredLayer, "name" | "diffId">) {
    this.#layer = layer;
  }

  add(bytes: Bytes): void {
    this.#hash.update(bytes);
  }

  /**
   * Check it, once, at the end.
   *
   * @param digest what the stored bytes are to be, when they are the tar itself
   * @throws {DigestMismatchError}
   */
  check(digest?: string): void {
    const hex = this.#hash.digest("hex");
    const { name, diffId } = this.#layer;
    if (digest !== undefined) checkDigest(name, digest, hex);
    checkDigest(`${name}, uncompressed,`, diffId, hex);
  }
}

/**
 * Whether the thread that inflates hashes the tar too, when another applies it: inflating gzip takes
 * longer than applying what comes of it, so there it is the other's.
 */
export function inflaterSums(compression: LayerCompression): boolean {
  return compression !== "gzip";
}

/** What is done with a layer while it is read. */
export interface ReadLayerOptions {
  /** Told how many more stored bytes were read. What it throws ends all. */
  readonly onStored: (bytes: number) => void;
  /** Asked while bytes are waited for that are still arriving. What it throws ends all. */
  readonly check: () => void;
  /** Given the tar's bytes in order, valid only during the call. What it throws ends all. */
  readonly take: (bytes: Bytes) => void;
  /** Called at the end of the tar, before its sum is checked: how it is cut short says more than that. */
  readonly onEnd?: () => void;
  /** The sum of the tar; absent when somebody else adds it up. */
  readonly sum?: TarSum;
}

/**
 * Read a layer to its end, those bytes behind the end of the archive too.
 *
 * @throws {EnrootError} naming the layer; code `digest-mismatch` when its bytes are not those of the
 * digest, or, with a sum, of the diff ID
 */
export async function readLayer(layer: StoredLayer, options: ReadLayerOptions): Promise<void> {
  const { name, file, compression, digest } = layer;
  const { onStored, check, take, onEnd, sum } = options;
  // A tar that is stored as it is has one sum for both.
  const isOneSum = compression === "none" && sum !== undefined;
  const storedHash = digest === undefined || isOneSum ? undefined : createSha256();

  async function* stored(): AsyncGenerator<Bytes> {
    for await (const bytes of readRegion(file, name, check)) {
      onStored(bytes.length);
      storedHash?.update(bytes);
      yield bytes;
    }
  }

  await inflate(stored(), compression, (bytes) => {
    sum?.add(bytes);
    take(bytes);
  }, name);
  onEnd?.();
  if (digest !== undefined && storedHash !== undefined) {
    checkDigest(name, digest, storedHash.digest("hex"));
  }
  sum?.check(isOneSum ? digest : undefined);
}

/**
 * Work with a layer's bytes, and say of its failure what it really is: damaged bytes show up as all
 * sorts of things.
 *
 * @param check as in {@linkcode ReadLayerOptions}
 * @throws {EnrootError} naming the layer
 */
export async function explained<T>(
  { name, file, digest }: StoredLayer,
  check: () => void,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    if (!["bad-archive", "bad-compression"].includes(error.code)) throw error;
    if (digest !== undefined) {
      const hash = createSha256();
      for await (const bytes of readRegion(file, name, check)) {
        check();
        hash.update(bytes);
      }
      checkDigest(name, digest, hash.digest("hex"));
    }
    // What comes from inflating names the layer already.
    if (error.code === "bad-compression") throw error;
    throw new EnrootError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

function checkDigest(what: string, expected: string, hex: string): void {
  if (expected === `sha256:${hex}`) return;
  throw new DigestMismatchError(what, expected, `sha256:${hex}`);
}
