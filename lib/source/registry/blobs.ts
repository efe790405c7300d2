/**
 * The blobs of one repository: from the cache, or fetched into it.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Descriptor } from "../../oci/manifest.ts";
import { BlobCache, type BlobRequest } from "../cache/blob_cache.ts";
import { hashFile } from "../cache/hash_file.ts";
import type { HeldBlob } from "../cache/held_blob.ts";
import type { OpenedLayer } from "../image.ts";
import { Limiter } from "../limiter.ts";
import { type BlobStore, maxDocument } from "../open_manifest.ts";
import type { SourceOptions } from "../options.ts";
import { ArrivingBlob } from "./arriving_blob.ts";
import { openBlobBody } from "./blob_body.ts";
import { type BodyLimits, documentSeconds } from "./body.ts";
import { Givers, type TurnDown } from "./givers.ts";
import { Attempts } from "./retry.ts";

/** The shortest time in which a silent connection is given up, in seconds. */
const leastStall = 30;

/**
 * Ask the registry for a blob, once.
 *
 * @returns an answer with a status of 200 to 299, its body unread
 */
export type AskForBlob = (
  digest: Digest,
  headers: Readonly<Record<string, string>>,
  what: string,
  signal: AbortSignal,
) => Promise<Response>;

/** How a blob is fetched. */
interface BlobOptions extends Pick<BlobRequest, "signal" | "onProgress" | "onBegin"> {
  /** Told when its bytes come: from where they were gone on with, or the beginning. */
  readonly onBody?: () => void;
}

/** A repository's blobs. Disposing of it lets go of those that were opened. */
export class RegistryBlobs implements BlobStore, Disposable {
  readonly #ask: AskForBlob;
  readonly #turnDown: TurnDown;
  readonly #uri: string;
  readonly #options: SourceOptions;
  readonly #cache: BlobCache;
  readonly #limiter: Limiter;
  readonly #held = new Set<HeldBlob>();
  readonly #arriving = new Set<ArrivingBlob>();
  /** Those that were in the cache, and turned out to be damaged when they were read. */
  readonly #damaged = new Set<Digest>();
  #fetched = 0;

  /**
   * @param uri the image, for messages
   * @param turnDown told of answers that were of no use; absent: there is nobody else to ask
   */
  constructor(
    ask: AskForBlob,
    uri: string,
    options: SourceOptions,
    turnDown: TurnDown = () => false,
  ) {
    this.#ask = ask;
    this.#turnDown = turnDown;
    this.#uri = uri;
    this.#options = options;
    this.#cache = BlobCache.at(options.cachePath);
    this.#limiter = options.connections?.limiter ?? new Limiter(options.maxConnections);
  }

  /** How many blobs came from the registry. */
  get fetched(): number {
    return this.#fetched;
  }

  /** A document's bytes, checked, when the cache has it. */
  find(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#cache.find(digest, maxDocument);
  }

  /** Keep a document that was checked; that it cannot be kept is no failure. */
  async keep(digest: Digest, bytes: Uint8Array): Promise<void> {
    const { signal, log } = this.#options;
    try {
      using _held = await this.#cache.get({
        digest,
        size: bytes.length,
        what: `the document ${digest}`,
        signal,
        fetch: () => Promise.resolve({ offset: 0, bytes: [bytes] }),
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof EnrootError)) throw error;
      log("debug", `${digest} is not kept: ${error.message}`);
    }
  }

  /** Whether a blob is in the cache, by its size. */
  has({ digest, size }: Descriptor): boolean {
    return this.#cache.has(digest, size);
  }

  /**
   * Whether layers are read while they arrive. Not where several images share the workers: one that waits
   * for its bytes would keep them from the others. Not when what was read had to be fetched anew before.
   */
  get #mayFollow(): boolean {
    const { connections, waitsForLayers = false } = this.#options;
    return connections === undefined && !waitsForLayers;
  }

  async read(descriptor: Descriptor, what: string): Promise<Uint8Array> {
    if (descriptor.size > maxDocument) {
      throw new EnrootError(
        "too-large",
        `${what} has ${descriptor.size} bytes: that is no document`,
      );
    }
    return await this.#cache.read(
      this.#request(descriptor, what, { ...this.#options, isDocument: true }),
    );
  }

  /** A layer that is being fetched is given away when enough of it is there to be read meanwhile. */
  async open(
    descriptor: Descriptor,
    options: { signal: AbortSignal; onProgress?: (bytes: number) => void },
  ): Promise<Omit<OpenedLayer, "compression">> {
    const what = `layer ${descriptor.digest} of ${this.#uri}`;
    const arriving = new ArrivingBlob(descriptor.size);
    const following: BlobOptions = {
      ...options,
      onBegin: (path) => arriving.begin(path),
      onBody: () => arriving.come(),
      onProgress(bytes) {
        arriving.add(bytes);
        options.onProgress?.(bytes);
      },
    };
    const fetched = this.#hold(descriptor, what, this.#mayFollow ? following : options);
    this.#arriving.add(arriving);
    fetched.then((held) => {
      this.#held.add(held);
      arriving.finish();
    }, () => arriving.fail());
    using unread = new DisposableStack();
    unread.defer(() => this.#close(arriving));
    const held = await Promise.race([fetched, arriving.readable]);
    if (held !== undefined) return this.#whole(descriptor, what, held);
    unread.move();
    return this.#follow(descriptor, what, arriving, fetched);
  }

  discard({ digest }: Descriptor): Promise<void> {
    const path = this.#cache.pathOf(digest);
    for (const held of this.#held) {
      if (held.path !== path) continue;
      held.discard();
      // What was just fetched was right when it was written: to fetch it again would be no use.
      if (!held.isFetched) this.#damaged.add(digest);
    }
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    for (const held of this.#held) this.#letGo(held);
    for (const arriving of this.#arriving) this.#close(arriving);
  }

  #close(arriving: ArrivingBlob): void {
    arriving.close();
    this.#arriving.delete(arriving);
  }

  #whole(
    { digest, size }: Descriptor,
    what: string,
    held: HeldBlob,
  ): Omit<OpenedLayer, "compression"> {
    return {
      path: held.path,
      offset: 0,
      size,
      failure: () => this.#damaged.has(digest) ? damaged(what) : undefined,
      release: () => this.#letGo(held),
    };
  }

  #follow(
    { size }: Descriptor,
    what: string,
    arriving: ArrivingBlob,
    fetched: Promise<HeldBlob>,
  ): Omit<OpenedLayer, "compression"> {
    let failure: unknown;
    const whole = fetched.then(() => {}, (error) => {
      failure = error;
      throw error;
    });
    // Whoever reads it is told why it ends; so is who waits for it.
    whole.catch(() => {});
    return {
      path: arriving.path,
      offset: 0,
      size,
      arrival: arriving.arrival,
      whole,
      failure: () => failure ?? (arriving.wasDropped ? begunAnew(what) : undefined),
      release: () => {
        this.#close(arriving);
        fetched.then((held) => this.#letGo(held), () => {});
      },
    };
  }

  async #hold(
    descriptor: Descriptor,
    what: string,
    options: BlobOptions,
  ): Promise<HeldBlob> {
    const { signal } = options;
    const held = await this.#cache.get(this.#request(descriptor, what, options));
    if (held.isFetched || !this.#options.distrustsCache) return held;
    using undo = new DisposableStack();
    undo.use(held);
    if (await hashFile(held.path, signal) === descriptor.digest) {
      undo.move();
      return held;
    }
    held.discard();
    return await this.#cache.get(this.#request(descriptor, what, options));
  }

  #letGo(held: HeldBlob): void {
    held[Symbol.dispose]();
    this.#held.delete(held);
  }

  #request(
    { digest, size }: Descriptor,
    what: string,
    { signal, onProgress, onBegin, onBody, isDocument = false }: BlobOptions & {
      isDocument?: boolean;
    },
  ): BlobRequest {
    const options = this.#options;
    const { log } = options;
    let attempts = new Attempts(options, signal);
    let begunAt: number | undefined;
    const givers = new Givers(this.#turnDown);
    return {
      digest,
      size,
      what,
      signal,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(onBegin === undefined ? {} : { onBegin }),
      turn: () => this.#limiter.turn(),
      onWait: () => log("info", `Waiting for another process to fetch ${what}`),
      onImpatience: (bytes, seconds) =>
        log(
          "warning",
          `${what}: whoever fetches it got ${bytes} bytes in ${seconds} s: fetching it here, too`,
        ),
      onKept: (bytes) =>
        log("info", `${bytes} of ${size} bytes of ${what} are kept: the next import goes on there`),
      async onFailure(error, hasProgress) {
        try {
          await attempts.failed(error, hasProgress);
        } catch (final) {
          signal.throwIfAborted();
          if (!givers.turnDown(final)) throw final;
          attempts = new Attempts(options, signal);
        }
      },
      fetch: async (offset) => {
        if (begunAt === undefined) this.#fetched++;
        begunAt ??= performance.now();
        const limits = this.#limits(signal, begunAt, isDocument);
        const body = await openBlobBody(
          (headers) => givers.ask(() => this.#ask(digest, headers, what, signal)),
          { size, what, offset, limits },
        );
        givers.begin(body.offset);
        onBody?.();
        return body;
      },
    };
  }

  #limits(signal: AbortSignal, begunAt: number, isDocument: boolean): BodyLimits {
    const { connectTimeoutSeconds, stallTimeoutSeconds, transferTimeoutSeconds } = this.#options;
    const isSet = transferTimeoutSeconds > 0;
    return {
      signal,
      begunAt,
      stallSeconds: stallTimeoutSeconds ?? Math.max(leastStall, connectTimeoutSeconds),
      totalSeconds: isSet || !isDocument ? transferTimeoutSeconds : documentSeconds,
      ...(isSet ? { totalSetting: "ENROOT_TRANSFER_TIMEOUT" } : {}),
    };
  }
}

function damaged(what: string): EnrootError {
  return new EnrootError(
    "cache-damaged",
    `${what} was damaged in the cache, and is dropped there: it is fetched again`,
  );
}

function begunAnew(what: string): EnrootError {
  return new EnrootError(
    "begun-anew",
    `${what} came wrong, or could not be gone on with where it broke off: it is fetched and applied anew`,
  );
}
