/**
 * Images in registries. Source: OCI distribution-spec 1.1.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { Descriptor } from "../../oci/manifest.ts";
import { imageManifestTypes, indexTypes } from "../../oci/media_type.ts";
import type { Reference } from "../../oci/reference.ts";
import { BlobCache } from "../cache/blob_cache.ts";
import type { Image, LayerFile } from "../image.ts";
import { Limiter } from "../limiter.ts";
import {
  type BlobStore,
  checkDocument,
  chooseManifest,
  type ChosenManifest,
  digestOf,
  imageOf,
  maxDocument,
} from "../open_manifest.ts";
import type { SourceOptions } from "../options.ts";
import { formatUri } from "../uri.ts";
import { Transport } from "./transport.ts";

const manifestHeaders = { accept: [...imageManifestTypes, ...indexTypes].join(", ") };

/** A connection that sends nothing for this long is given up, in milliseconds. */
const stallLimit = 60_000;

/** The image a reference names. @throws {EnrootError} when it cannot be had or is not what it says */
export async function openRegistryImage(
  reference: Reference,
  options: SourceOptions,
): Promise<Image> {
  const repository = new Repository(reference, options);
  const chosen = await repository.manifest();
  return await imageOf(chosen, repository, options.architecture, repository.uri);
}

/** The digest of the manifest a reference names, for the architecture. */
export async function resolveRegistryDigest(
  reference: Reference,
  options: SourceOptions,
): Promise<Digest> {
  return (await new Repository(reference, options).manifest()).digest;
}

/** One repository of a registry. */
class Repository implements BlobStore {
  readonly uri: string;
  readonly #reference: Reference;
  readonly #options: SourceOptions;
  readonly #transport: Transport;
  readonly #cache: BlobCache;
  readonly #limiter: Limiter;

  constructor(reference: Reference, options: SourceOptions) {
    this.uri = formatUri({ scheme: "docker", reference });
    this.#reference = reference;
    this.#options = options;
    this.#transport = new Transport(reference.registry, options);
    this.#cache = new BlobCache(options.cachePath);
    this.#limiter = new Limiter(options.maxConnections);
  }

  /** The image manifest for the architecture. */
  async manifest(): Promise<ChosenManifest> {
    const { digest, tag } = this.#reference;
    const { bytes, type } = await this.#fetchManifest(digest ?? tag ?? "latest", digest);
    return await chooseManifest(
      bytes,
      type,
      { read: async ({ digest: each }) => (await this.#fetchManifest(each, each)).bytes },
      this.#options.architecture,
      this.uri,
    );
  }

  read(descriptor: Descriptor, what: string): Promise<Uint8Array> {
    if (descriptor.size > maxDocument) {
      throw new EnrootError(
        "too-large",
        `${what} has ${descriptor.size} bytes: that is no document`,
      );
    }
    return this.#cache.read(this.#request(descriptor, what, { signal: this.#options.signal }));
  }

  async open(
    descriptor: Descriptor,
    options: { signal: AbortSignal; onProgress?: (bytes: number) => void },
  ): Promise<LayerFile> {
    const what = `layer ${descriptor.digest} of ${this.uri}`;
    const path = await this.#limiter.run(() =>
      this.#cache.get(this.#request(descriptor, what, options))
    );
    return { path, offset: 0, size: descriptor.size };
  }

  discard({ digest }: Descriptor): Promise<void> {
    this.#cache.discard(digest);
    return Promise.resolve();
  }

  #request(
    { digest, size }: Descriptor,
    what: string,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (bytes: number) => void },
  ): Parameters<BlobCache["get"]>[0] {
    const path = `/v2/${this.#reference.repository}/blobs/${digest}`;
    return {
      digest,
      size,
      what,
      signal,
      ...(onProgress === undefined ? {} : { onProgress }),
      fetch: async () => {
        const response = await this.#transport.get(path, {}, what);
        return readBody(response, what, signal, this.#options.transferTimeoutSeconds);
      },
    };
  }

  async #fetchManifest(
    name: string,
    expected: Digest | undefined,
  ): Promise<{ bytes: Uint8Array; type: string | undefined }> {
    const path = `/v2/${this.#reference.repository}/manifests/${name}`;
    const response = await this.#transport.get(path, manifestHeaders, this.uri);
    const what = `the manifest of ${this.uri}`;
    const bytes = await whole(readBody(response, what, this.#options.signal, 0), what);
    const stated = response.headers.get("docker-content-digest");
    if (expected !== undefined) checkDocument(bytes, expected, what);
    else if (stated?.startsWith("sha256:")) checkDocument(bytes, parseDigest(stated), what);
    this.#options.log("debug", `${this.uri}: manifest ${digestOf(bytes)}`);
    return { bytes, type: response.headers.get("content-type") ?? undefined };
  }
}

/** A body's bytes as they come; a stall, a cut and a time limit end in an error that says so. */
async function* readBody(
  response: Response,
  what: string,
  signal: AbortSignal,
  limitSeconds: number,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const began = performance.now();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    signal.throwIfAborted();
    for (;;) {
      if (limitSeconds > 0 && performance.now() - began > limitSeconds * 1000) {
        throw new EnrootError(
          "unreachable",
          `${what}: not complete after ${limitSeconds} s (ENROOT_TRANSFER_TIMEOUT)`,
        );
      }
      const stalled = Promise.withResolvers<never>();
      timer = setTimeout(() =>
        stalled.reject(
          new EnrootError("unreachable", `${what}: no byte came for ${stallLimit / 1000} s`),
        ), stallLimit);
      const { done, value } = await Promise.race([read(), stalled.promise, aborted]);
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    await reader.cancel().catch(() => {});
  }

  async function read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    try {
      return await reader.read();
    } catch (error) {
      signal.throwIfAborted();
      throw new EnrootError("unreachable", `${what}: the connection broke: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }
}

async function whole(stream: AsyncIterable<Uint8Array>, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > maxDocument) {
      throw new EnrootError("too-large", `${what} has more than ${maxDocument} bytes`);
    }
    parts.push(part);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
