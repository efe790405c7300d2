/**
 * A blob's bytes on their way into a file: counted, hashed, and gone on with where they broke off.
 *
 * This is the one place where a fetched blob is checked.
 *
 * @module
 */

import type { Hash } from "node:crypto";
import { EnrootError } from "../../errors.ts";
import { type Digest, DigestMismatchError } from "../../oci/digest.ts";
import { createSha256 } from "../../std/node.ts";

/** The bytes of a blob, from some offset on. */
export interface BlobBody {
  /** Where they begin: as asked for, or 0. */
  readonly offset: number;
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What is received. */
export interface Delivery {
  readonly digest: Digest;
  /** Bytes, as the manifest states them. */
  readonly size: number;
  /** What it is called in messages. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told how many more bytes there are; fewer than none when some do not count any more. */
  readonly onProgress?: (bytes: number) => void;
  /** Called when bytes are missing: those from an offset on. */
  readonly fetch: (offset: number) => Promise<BlobBody>;
  /**
   * Called when they broke off, or were wrong: settles when they are to be asked for again, or throws.
   *
   * @param hasProgress whether the attempt got a good way further than all before it
   */
  readonly onFailure?: (error: unknown, hasProgress: boolean) => Promise<void>;
}

/** How many more bytes than ever before make an attempt one that got on. */
const leastProgress = 256 * 1024;

const readAtOnce = 1 << 20;

/**
 * Fill a file with a blob, keeping what it holds of it already.
 *
 * When it fails the file holds what may be gone on with, and nothing when that would be wrong.
 *
 * @param file open for reading and writing, at its beginning; nobody else writes to it
 * @throws {DigestMismatchError} when what came in one piece is not it; {@linkcode EnrootError} code
 * `size-mismatch` when there is more of it; `truncated` when less came; what `fetch` and `onFailure`
 * throw; the signal's reason
 */
export async function receive(file: Deno.FsFile, delivery: Delivery): Promise<void> {
  const intake = new Intake(file, delivery);
  try {
    await intake.takeUp();
    let furthest = intake.position;
    for (;;) {
      try {
        await intake.fetchRest();
        if (intake.isRight()) return;
        furthest = 0;
      } catch (error) {
        const hasProgress = intake.position - furthest >= leastProgress;
        furthest = Math.max(furthest, intake.position);
        if (delivery.onFailure === undefined) throw error;
        await delivery.onFailure(error, hasProgress);
        if (!isWrong(error)) continue;
        intake.drop();
        furthest = 0;
      }
    }
  } catch (error) {
    delivery.onProgress?.(-intake.position);
    if (!isWorthKeeping(error, delivery.signal)) file.truncateSync(0);
    throw error;
  }
}

/** Whether what is there of a blob may be gone on with after a failure. */
function isWorthKeeping(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return true;
  // A full disk is not to stay full of it.
  return error instanceof EnrootError && !isWrong(error);
}

/** Whether what came is not the blob. */
function isWrong(error: unknown): boolean {
  return error instanceof EnrootError &&
    (error.code === "digest-mismatch" || error.code === "size-mismatch");
}

/** A file that is being filled. */
class Intake {
  readonly #file: Deno.FsFile;
  readonly #delivery: Delivery;
  #hash: Hash = createSha256();
  #position = 0;
  /** Whether its bytes came in more than one piece: then they may be of different contents. */
  #isPieced = false;
  #wasDropped = false;

  constructor(file: Deno.FsFile, delivery: Delivery) {
    this.#file = file;
    this.#delivery = delivery;
  }

  /** How many bytes are there. */
  get position(): number {
    return this.#position;
  }

  /** Count and hash what the file holds already. */
  async takeUp(): Promise<void> {
    const { size, signal } = this.#delivery;
    const there = this.#file.statSync().size;
    if (there === 0) return;
    if (there > size) return this.#file.truncateSync(0);
    this.#isPieced = true;
    const buffer = new Uint8Array(Math.min(there, readAtOnce));
    for (let length; (length = await this.#file.read(buffer)) !== null;) {
      signal.throwIfAborted();
      this.#count(buffer.subarray(0, length));
    }
  }

  /** Fetch what is missing. */
  async fetchRest(): Promise<void> {
    const { size, what, signal } = this.#delivery;
    if (this.#position === size) return;
    const { offset, bytes } = await this.#delivery.fetch(this.#position);
    if (offset === 0) this.drop();
    else this.#isPieced = true;
    for await (const part of bytes) {
      signal.throwIfAborted();
      if (this.#position + part.length > size) {
        throw new EnrootError("size-mismatch", `${what}: more than the stated ${size} bytes came`);
      }
      for (let at = 0; at < part.length;) at += this.#file.writeSync(part.subarray(at));
      this.#count(part);
    }
    if (this.#position < size) {
      throw new EnrootError(
        "truncated",
        `${what}: only ${this.#position} of the stated ${size} bytes came`,
      );
    }
  }

  /**
   * Whether all of it is the blob. What came in pieces is dropped when it is not, once: then it has to
   * be fetched from the beginning.
   *
   * @throws {DigestMismatchError}
   */
  isRight(): boolean {
    const { digest, what } = this.#delivery;
    const actual = `sha256:${this.#hash.copy().digest("hex")}`;
    if (actual === digest) return true;
    if (!this.#isPieced || this.#wasDropped) throw new DigestMismatchError(what, digest, actual);
    this.#wasDropped = true;
    this.drop();
    return false;
  }

  #count(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#position += bytes.length;
    this.#delivery.onProgress?.(bytes.length);
  }

  /** Begin anew. */
  drop(): void {
    if (this.#position > 0) this.#delivery.onProgress?.(-this.#position);
    this.#file.truncateSync(0);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#hash = createSha256();
    this.#position = 0;
    this.#isPieced = false;
  }
}
