/**
 * The blob cache: an OCI layout in `ENROOT_CACHE_PATH`, so that it can be carried elsewhere and read
 * there as it is.
 *
 * A blob has its name only when it is whole and its digest is right. Over all processes of a host one
 * at a time fetches a blob; the others wait, and then use it.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { type Digest, DigestMismatchError, digestOf, hexOf } from "../../oci/digest.ts";
import { HeldBlob, holdBlob, openIfThere } from "./held_blob.ts";
import { PartialBlob, partialPath } from "./partial_blob.ts";
import { type Delivery, receive } from "./receive.ts";

/** What is wanted, and where it is fetched from. */
export interface BlobRequest extends Delivery {
  /** Called once when another process is fetching it, and is waited for. */
  readonly onWait?: () => void;
  /** Told when whoever is waited for got too little of it, before it is fetched here, too. */
  readonly onImpatience?: (bytes: number, seconds: number) => void;
  /** Waits until it may be fetched; the turn ends when what is returned is disposed of. */
  readonly turn?: () => Promise<Disposable>;
  /** Told where it grows, before any of it is read or written: to read it while it does. */
  readonly onBegin?: (path: string) => void;
  /** Told how many bytes of it stay for the next attempt, when it could not be had. */
  readonly onKept?: (bytes: number) => void;
}

/** How often a process looks whether another has finished a blob, in milliseconds. */
const lookEvery = 200;

/**
 * How long whoever fetches a blob is waited for, likewise, while too little of it comes: less than
 * {@linkcode leastRate}.
 */
const defaultPatience = 180_000;

/** Bytes a second. Whom another registry or a mirror serves would have a blob sooner than that. */
const leastRate = 64 * 1024;

/** A blob that is being fetched. */
interface Flight {
  /** Settles at its end, without a failure. */
  end: Promise<void>;
  /** Whether its turn has come. */
  isOn: boolean;
}

/** The caches of this process, by their paths: several images may want one blob at once. */
const caches = new Map<string, BlobCache>();

/** Blobs by digest, shared by all processes of a user. */
export class BlobCache {
  /** The cache of a path, the same one each time. */
  static at(path: string): BlobCache {
    const cache = caches.get(path) ?? new BlobCache(path);
    caches.set(path, cache);
    return cache;
  }

  readonly #path: string;
  readonly #blobs: string;
  readonly #patience: number;
  /** What this process is fetching, by the blob's path. */
  readonly #flights = new Map<string, Flight>();

  /**
   * @param path `ENROOT_CACHE_PATH`; made when something is first stored
   * @param options.patience how long whoever fetches a blob may get on too slowly, in milliseconds; it
   * must be longer than a fetch may pause
   */
  constructor(path: string, { patience = defaultPatience }: { readonly patience?: number } = {}) {
    this.#path = path;
    this.#blobs = `${path}/blobs/sha256`;
    this.#patience = patience;
  }

  /** Where a blob is, or will be. */
  pathOf(digest: Digest): string {
    return `${this.#blobs}/${hexOf(digest)}`;
  }

  /**
   * A blob, fetched when it is not there; who asks for one twice at once fetches it once.
   *
   * A blob that is there is taken by its size: whoever reads it checks its digest. What arrived of one
   * that could not be had stays for the next attempt, of this process or another, and is not fetched
   * again.
   *
   * @returns to be disposed of; it stays in the cache until then
   * @throws {DigestMismatchError} when what was fetched is not it; {@linkcode EnrootError} code
   * `size-mismatch`, `truncated`, `cannot-write`, or what `fetch` and `onFailure` throw
   */
  async get(request: BlobRequest): Promise<HeldBlob> {
    try {
      return await this.#get(request);
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  /**
   * A small blob's bytes, checked; fetched when it is not there or damaged.
   *
   * @throws as {@linkcode BlobCache.get}
   */
  async read(request: BlobRequest): Promise<Uint8Array> {
    for (let attempt = 0;; attempt++) {
      using held = await this.get(request);
      const bytes = this.#readFile(held.path);
      const actual = await digestOf(bytes);
      if (actual === request.digest) return bytes;
      held.discard();
      if (attempt > 0) throw new DigestMismatchError(request.what, request.digest, actual);
    }
  }

  /**
   * A small blob's bytes, checked, when it is there; a damaged one is dropped.
   *
   * @param limit a blob of more bytes is none that is looked for
   */
  async find(digest: Digest, limit: number): Promise<Uint8Array | undefined> {
    try {
      using held = await holdBlob(this.pathOf(digest), undefined);
      if (held === undefined || Deno.statSync(held.path).size > limit) return undefined;
      const bytes = this.#readFile(held.path);
      if (await digestOf(bytes) === digest) return bytes;
      held.discard();
      return undefined;
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  /** Whether a blob is there, by its size. */
  has(digest: Digest, size: number): boolean {
    return sizeOf(this.pathOf(digest)) === size;
  }

  async #get(request: BlobRequest): Promise<HeldBlob> {
    const path = this.pathOf(request.digest);
    let others: Others | undefined;
    for (;;) {
      request.signal.throwIfAborted();
      const flight = this.#flights.get(path);
      if (flight !== undefined) {
        others ??= new Others(path, this.#patience, request);
        // Its file is locked, also to us: then there is another way.
        if (others.level > 0) return await this.#holdOrFetch(path, request, others);
        await pause(lookEvery, request.signal, flight.end);
        others.look(flight.isOn);
        continue;
      }
      const own: Flight = { end: Promise.resolve(), isOn: false };
      const fetched = this.#holdOrFetch(path, { ...request, onTurn: () => own.isOn = true });
      own.end = fetched.then(() => {}, () => {});
      this.#flights.set(path, own);
      try {
        return await fetched;
      } finally {
        this.#flights.delete(path);
      }
    }
  }

  async #holdOrFetch(
    path: string,
    request: BlobRequest & { readonly onTurn?: () => void },
    others = new Others(path, this.#patience, request),
  ): Promise<HeldBlob> {
    for (let waits = 0;; waits++) {
      const held = await holdBlob(path, request.size);
      if (held !== undefined) return held;
      if (waits === 0) this.#prepare();
      const fetched = await this.#fetch(path, request, others.level);
      if (fetched !== undefined) return fetched;
      if (waits === 0) request.onWait?.();
      await pause(lookEvery, request.signal);
      others.look();
    }
  }

  /** Fetch a blob; `undefined` when another process does. @param level as {@linkcode PartialBlob.open} */
  async #fetch(
    path: string,
    request: BlobRequest & { readonly onTurn?: () => void },
    level: number,
  ): Promise<HeldBlob | undefined> {
    const { signal, size, turn, onTurn } = request;
    using _turn = await turn?.();
    signal.throwIfAborted();
    onTurn?.();
    using partial = PartialBlob.open(path, level);
    if (partial === undefined) return undefined;
    const held = await holdBlob(path, size);
    if (held !== undefined) {
      partial.file.truncateSync(0);
      return held;
    }
    request.onBegin?.(partial.path);
    try {
      await receive(partial.file, request);
    } catch (error) {
      const kept = partial.file.statSync().size;
      if (kept > 0 && !signal.aborted) request.onKept?.(kept);
      throw error;
    }
    return partial.publish(path);
  }

  #readFile(path: string): Uint8Array {
    try {
      return Deno.readFileSync(path);
    } catch (error) {
      throw explain(error, this.#path);
    }
  }

  #prepare(): void {
    Deno.mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
    const layout = `${this.#path}/oci-layout`;
    if ((sizeOf(layout) ?? 0) === 0) {
      // Whole or not at all, and in the place of a link that leads elsewhere.
      const partial = `${layout}.${crypto.randomUUID()}.partial`;
      Deno.writeTextFileSync(partial, '{"imageLayoutVersion":"1.0.0"}\n', { createNew: true });
      Deno.renameSync(partial, layout);
    }
  }
}

/**
 * Those who fetch a blob that is wanted here, too, and whether they get on with it. A process that is
 * stopped keeps its locks, and so does one that a slow registry serves: who waits for it in vain fetches
 * by another way, one level further, where only one process at a time is, too.
 */
class Others {
  readonly #blob: string;
  readonly #patience: number;
  readonly #onImpatience: BlobRequest["onImpatience"];
  #level = 0;
  #seen: number | undefined;
  #size = 0;
  #came = 0;
  #since = performance.now();

  constructor(blob: string, patience: number, { onImpatience }: BlobRequest) {
    this.#blob = blob;
    this.#patience = patience;
    this.#onImpatience = onImpatience;
  }

  /** Where it is to be fetched: beyond all who are too slow. */
  get level(): number {
    return this.#level;
  }

  /** Look how far they are. @param areOn whether they are at it: nobody is slow who waits for his turn */
  look(areOn = true): void {
    using file = openIfThere(partialPath(this.#blob, this.#level), { read: true });
    const { ino, size } = file?.statSync() ?? { ino: undefined, size: 0 };
    if (!areOn || ino === null || ino !== this.#seen) {
      return this.#beginAgain(ino ?? undefined, size);
    }
    this.#came += Math.max(0, size - this.#size);
    this.#size = size;
    const waited = performance.now() - this.#since;
    if (waited <= this.#patience) return;
    const came = this.#came;
    if (came * 1000 < waited * leastRate) {
      this.#level++;
      this.#onImpatience?.(came, Math.round(waited / 1000));
    }
    this.#beginAgain(ino, size);
  }

  #beginAgain(seen: number | undefined, size: number): void {
    this.#seen = seen;
    this.#size = size;
    this.#came = 0;
    this.#since = performance.now();
  }
}

/** Wait for a promise that does not fail. @throws the signal's reason */
async function settled(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    await Promise.race([promise, stopped.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Wait for a time, or for what comes before. @throws the signal's reason */
async function pause(
  milliseconds: number,
  signal: AbortSignal,
  ...before: readonly Promise<void>[]
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, milliseconds);
  const first = Promise.race([over.promise, ...before]);
  await settled(first, signal).finally(() => clearTimeout(timer));
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
