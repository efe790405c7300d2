/**
 * Images in registries. Source: OCI distribution-spec 1.1.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { type Digest, digestOf, parseDigest } from "../../oci/digest.ts";
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
  imageOf,
  maxDocument,
} from "../open_manifest.ts";
import type { SourceOptions } from "../options.ts";
import { formatUri } from "../uri.ts";
import { readBody, readDocumentBody } from "./body.ts";
import { retrying } from "./retry.ts";
import { Transport } from "./transport.ts";

const manifestHeaders = { accept: [...imageManifestTypes, ...indexTypes].join(", ") };

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
    const { signal } = this.#options;
    return this.#again(() => this.#cache.read(this.#request(descriptor, what, { signal })), signal);
  }

  async open(
    descriptor: Descriptor,
    options: { signal: AbortSignal; onProgress?: (bytes: number) => void },
  ): Promise<LayerFile> {
    const what = `layer ${descriptor.digest} of ${this.uri}`;
    const path = await this.#limiter.run(() =>
      this.#again(
        () => this.#cache.get(this.#request(descriptor, what, options)),
        options.signal,
      )
    );
    return { path, offset: 0, size: descriptor.size };
  }

  discard({ digest }: Descriptor): Promise<void> {
    this.#cache.discard(digest);
    return Promise.resolve();
  }

  #again<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return retrying(work, this.#options, signal);
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
      onWait: () => this.#options.log("info", `Waiting for another process to fetch ${what}`),
      fetch: async () => {
        const response = await this.#transport.get(path, {}, what, signal);
        return readBody(response, what, {
          signal,
          totalSeconds: this.#options.transferTimeoutSeconds,
        });
      },
    };
  }

  async #fetchManifest(
    name: string,
    expected: Digest | undefined,
  ): Promise<{ bytes: Uint8Array; type: string | undefined }> {
    const { signal } = this.#options;
    const path = `/v2/${this.#reference.repository}/manifests/${name}`;
    const what = `the manifest of ${this.uri}`;
    const { bytes, answer } = await this.#again(async () => {
      const response = await this.#transport.get(path, manifestHeaders, this.uri, signal);
      return {
        bytes: await readDocumentBody(response, what, { signal }),
        answer: response.headers,
      };
    }, signal);
    const stated = answer.get("docker-content-digest");
    if (expected !== undefined) await checkDocument(bytes, expected, what);
    else if (stated?.startsWith("sha256:")) {
      await checkDocument(bytes, parseDigest(stated), what);
    }
    this.#options.log("debug", `${this.uri}: manifest ${await digestOf(bytes)}`);
    return { bytes, type: answer.get("content-type") ?? undefined };
  }
}
