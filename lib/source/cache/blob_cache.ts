/**
 * The blob cache: an OCI layout in `ENROOT_CACHE_PATH`, so that it can be carried elsewhere and read
 * there as it is.
 *
 * A blob has its name only when it is whole and its digest is right. While one is fetched it grows in
 * `<hex>.partial`, which is locked: another process that wants it waits, and then uses it. A partial
 * file whose lock is free was left by a killed process; the next one starts it anew. On a file system
 * without locks each process has a partial file of its own, `<hex>.<unique>.partial`.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { EnrootError, reasonOf } from "../../errors.ts";
import { removeIfThere } from "../../sys/exists.ts";
import { isStillNamed } from "../../sys/lock.ts";
import { type Digest, DigestMismatchError, hexOf } from "../../oci/digest.ts";

/** What is to be fetched, and from where. */
export interface BlobRequest {
  readonly digest: Digest;
  /** Bytes, as the manifest states them. */
  readonly size: number;
  /** What it is called in messages. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told how many more bytes arrived; fewer than none when what arrived does not count any more. */
  readonly onProgress?: (bytes: number) => void;
  /** Called once when another process is fetching it, and is waited for. */
  readonly onWait?: () => void;
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
    try {
      return await this.#get(request);
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  async #get(request: BlobRequest): Promise<string> {
    const path = this.pathOf(request.digest);
    if (sizeOf(path) === request.size) return path;
    this.#prepare();
    using partial = await lockPartial(path, request);
    try {
      if (sizeOf(path) === request.size) Deno.removeSync(partial.path);
      else {
        await receive(partial.file, request);
        Deno.renameSync(partial.path, path);
      }
    } catch (error) {
      removeIfThere(partial.path);
      throw error;
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
      const bytes = this.#readFile(await this.get(request));
      const actual = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      if (actual === request.digest) return bytes;
      this.discard(request.digest);
      if (attempt > 0) throw new DigestMismatchError(request.what, request.digest, actual);
    }
  }

  #readFile(path: string): Uint8Array {
    try {
      return Deno.readFileSync(path);
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  /** Drop a blob, because it is damaged; nothing happens when it is not there. */
  discard(digest: Digest): void {
    removeIfThere(this.pathOf(digest));
  }

  #prepare(): void {
    Deno.mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
    const layout = `${this.#path}/oci-layout`;
    if (sizeOf(layout) === undefined) {
      Deno.writeTextFileSync(layout, '{"imageLayoutVersion":"1.0.0"}\n');
    }
  }
}

/** A partial file that is this process's alone, empty, until it is disposed of. */
interface PartialFile extends Disposable {
  readonly path: string;
  readonly file: Deno.FsFile;
}

/** Open and lock the partial file of a blob; wait while another process has it. */
async function lockPartial(
  blob: string,
  { signal, size, onWait }: BlobRequest,
): Promise<PartialFile> {
  let path = `${blob}.partial`;
  for (let waits = 0;;) {
    signal.throwIfAborted();
    const file = Deno.openSync(path, { write: true, create: true, mode: 0o644 });
    const lock = await tryLock(file);
    // Its name may have gone to the finished blob between the opening and the lock.
    if (lock === "held" && isStillNamed(file, path)) {
      file.truncateSync(0);
      return { path, file, [Symbol.dispose]: () => file.close() };
    }
    if (lock === "unsupported") {
      file.close();
      removeIfThere(path);
      path = `${blob}.${crypto.randomUUID()}.partial`;
      const own = Deno.openSync(path, { write: true, createNew: true, mode: 0o644 });
      return { path, file: own, [Symbol.dispose]: () => own.close() };
    }
    file.close();
    if (lock === "held" || sizeOf(blob) === size) continue;
    if (waits++ === 0) onWait?.();
    await new Promise((resolve) => setTimeout(resolve, lookEvery));
  }
}

async function receive(file: Deno.FsFile, request: BlobRequest): Promise<void> {
  const { digest, size, what, signal, onProgress } = request;
  const hash = createHash("sha256");
  let received = 0;
  try {
    for await (const bytes of await request.fetch()) {
      signal.throwIfAborted();
      if (received + bytes.length > size) throw wrongSize(what, "more than", size);
      hash.update(bytes);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      received += bytes.length;
      onProgress?.(bytes.length);
    }
    if (received !== size) throw wrongSize(what, `${received} of`, size);
    const actual = `sha256:${hash.digest("hex")}`;
    if (actual !== digest) throw new DigestMismatchError(what, digest, actual);
  } catch (error) {
    onProgress?.(-received);
    throw error;
  }
}

function wrongSize(what: string, received: string, size: number): EnrootError {
  return new EnrootError("size-mismatch", `${what}: ${received} the stated ${size} bytes came`);
}

/** Whether the lock is held now; `busy` when somebody else has it. */
async function tryLock(file: Deno.FsFile): Promise<"held" | "busy" | "unsupported"> {
  try {
    return await file.tryLock(true) ? "held" : "busy";
  } catch {
    // Lustre without `flock`, NFS without a lock service.
    return "unsupported";
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

/** A failure of the file system, for people; what was explained where it happened is as it was. */
function explain(error: unknown, path: string): unknown {
  if (error instanceof EnrootError || !(error instanceof Error)) return error;
  if (!/\(os error \d+\)/.test(error.message)) return error;
  return new EnrootError(
    "cannot-write",
    `cannot write the cache in ${path}: ${reasonOf(error)}: ENROOT_CACHE_PATH names another folder`,
    { cause: error },
  );
}
