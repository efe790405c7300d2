/**
 * The blob cache: an OCI layout in `ENROOT_CACHE_PATH`, so that it can be carried elsewhere and read
 * there as it is.
 *
 * A blob has its name only when it is whole and its digest is right. While one is fetched it grows in
 * `<hex>.partial`, which is locked: another process that wants it waits, and then uses it. A partial
 * file whose lock is free was left by a killed process; the next one starts it anew.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { EnrootError, reasonOf } from "../../errors.ts";
import { type Digest, DigestMismatchError, hexOf } from "../../oci/digest.ts";

/** What is to be fetched, and from where. */
export interface BlobRequest {
  readonly digest: Digest;
  /** Bytes, as the manifest states them. */
  readonly size: number;
  /** What it is called in messages. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told how many more bytes arrived. */
  readonly onProgress?: (bytes: number) => void;
  /** Called when it is not there: the bytes. */
  readonly fetch: () => Promise<AsyncIterable<Uint8Array>>;
}

/** How often a process looks whether another has finished a blob, in milliseconds. */
const lookEvery = 200;

/** Blobs by digest, shared by all processes of a user. */
export class BlobCache {
  readonly #path: string;
  readonly #blobs: string;

  /** @param path `ENROOT_CACHE_PATH`; made when something is first stored */
  constructor(path: string) {
    this.#path = path;
    this.#blobs = `${path}/blobs/sha256`;
  }

  /** Where a blob is, or will be. */
  pathOf(digest: Digest): string {
    return `${this.#blobs}/${hexOf(digest)}`;
  }

  /**
   * The path of a blob, fetched when it is not there.
   *
   * A blob that is there is taken by its size: whoever reads it checks its digest.
   *
   * @throws {DigestMismatchError} when what was fetched is not it; {@linkcode EnrootError} code
   * `size-mismatch`, `cannot-write`, or what `fetch` throws. Nothing half-made keeps the name.
   */
  async get(request: BlobRequest): Promise<string> {
    const path = this.pathOf(request.digest);
    if (sizeOf(path) === request.size) return path;
    this.#prepare();
    using partial = await this.#lockPartial(`${path}.partial`, request);
    if (sizeOf(path) === request.size) {
      Deno.removeSync(partial.path);
      return path;
    }
    try {
      await receive(partial.file, request);
      Deno.renameSync(partial.path, path);
    } catch (error) {
      removeIfThere(partial.path);
      throw explain(error, this.#path);
    }
    return path;
  }

  /**
   * A small blob's bytes, checked; fetched when it is not there or damaged.
   *
   * @throws as {@linkcode BlobCache.get}
   */
  async read(request: BlobRequest): Promise<Uint8Array> {
    for (let attempt = 0;; attempt++) {
      const bytes = Deno.readFileSync(await this.get(request));
      const actual = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      if (actual === request.digest) return bytes;
      this.discard(request.digest);
      if (attempt > 0) throw new DigestMismatchError(request.what, request.digest, actual);
    }
  }

  /** Drop a blob, because it is damaged; nothing happens when it is not there. */
  discard(digest: Digest): void {
    removeIfThere(this.pathOf(digest));
  }

  #prepare(): void {
    try {
      Deno.mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
      const layout = `${this.#path}/oci-layout`;
      if (sizeOf(layout) === undefined) {
        Deno.writeTextFileSync(layout, '{"imageLayoutVersion":"1.0.0"}\n');
      }
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  /** Open and lock a partial file; wait while another process has it. */
  async #lockPartial(
    path: string,
    { signal, digest, size }: BlobRequest,
  ): Promise<{ path: string; file: Deno.FsFile } & Disposable> {
    for (;;) {
      signal.throwIfAborted();
      let file: Deno.FsFile;
      try {
        file = Deno.openSync(path, { write: true, create: true, mode: 0o644 });
      } catch (error) {
        throw explain(error, this.#path);
      }
      // Its name may have gone to the finished blob between the opening and the lock.
      if (await tryLock(file) && isSameFile(file, path)) {
        file.truncateSync(0);
        return { path, file, [Symbol.dispose]: () => file.close() };
      }
      file.close();
      if (sizeOf(this.pathOf(digest)) === size) continue;
      await new Promise((resolve) => setTimeout(resolve, lookEvery));
    }
  }
}

async function receive(file: Deno.FsFile, request: BlobRequest): Promise<void> {
  const { digest, size, what, signal } = request;
  const hash = createHash("sha256");
  let received = 0;
  for await (const bytes of await request.fetch()) {
    signal.throwIfAborted();
    received += bytes.length;
    if (received > size) break;
    hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    request.onProgress?.(bytes.length);
  }
  if (received !== size) {
    throw new EnrootError(
      "size-mismatch",
      `${what}: ${received > size ? "more than" : `${received} of`} the stated ${size} bytes came`,
    );
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== digest) throw new DigestMismatchError(what, digest, actual);
}

async function tryLock(file: Deno.FsFile): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch {
    // A file system without locks: two processes may fetch a blob twice, and the digest decides.
    return true;
  }
}

function isSameFile(file: Deno.FsFile, path: string): boolean {
  try {
    const { dev, ino } = file.statSync();
    const named = Deno.lstatSync(path);
    return dev === named.dev && ino === named.ino;
  } catch {
    return false;
  }
}

function sizeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A failure of the file system, for people; anything else is as it was. */
function explain(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !/\(os error \d+\)/.test(error.message)) return error;
  return new EnrootError(
    "cannot-write",
    `cannot write the cache in ${path}: ${reasonOf(error)}: ENROOT_CACHE_PATH names another folder`,
    { cause: error },
  );
}
