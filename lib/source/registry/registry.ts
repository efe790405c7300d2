/**
 * Images in registries. Source: OCI distribution-spec 1.1.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { type Digest, digestOf, parseDigest } from "../../oci/digest.ts";
import { parseManifest } from "../../oci/manifest.ts";
import { imageManifestTypes, indexTypes } from "../../oci/media_type.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import { afterUse } from "../cache/after_use.ts";
import type { Access, Image } from "../image.ts";
import { checkDocument, chooseManifest, type ChosenManifest, imageOf } from "../open_manifest.ts";
import type { SourceOptions } from "../options.ts";
import { formatUri } from "../uri.ts";
import { RegistryBlobs } from "./blobs.ts";
import { readDocumentBody } from "./body.ts";
import { Connections } from "./connections.ts";
import { retrying } from "./retry.ts";
import type { Transport } from "./transport.ts";

const manifestHeaders = { accept: [...imageManifestTypes, ...indexTypes].join(", ") };

/** The image a reference names. @throws {EnrootError} when it cannot be had or is not what it says */
export async function openRegistryImage(
  reference: Reference,
  options: SourceOptions,
): Promise<Image> {
  using stack = new DisposableStack();
  const repository = stack.use(new Repository(reference, options));
  const chosen = await repository.manifest();
  const image = await imageOf(
    chosen,
    repository.blobs,
    options.architecture,
    repository.uri,
    () => repository.close(chosen.digest),
  );
  stack.move();
  const { access } = repository;
  return access === undefined ? image : { ...image, access };
}

/** The digest of the manifest a reference names, for the architecture. */
export async function resolveRegistryDigest(
  reference: Reference,
  options: SourceOptions,
): Promise<Digest> {
  using repository = new Repository(reference, options);
  return (await repository.manifest()).digest;
}

/** A manifest or an index, checked, and its media type as far as it is known. */
interface ManifestDocument {
  readonly bytes: Uint8Array;
  readonly type: string | undefined;
}

/** One repository of a registry. */
class Repository implements Disposable {
  readonly uri: string;
  readonly blobs: RegistryBlobs;
  readonly #reference: Reference;
  readonly #options: SourceOptions;
  /** What nobody else uses. */
  readonly #own: Connections | undefined;
  readonly #transport: Transport;
  #access: Access | undefined;

  constructor(reference: Reference, options: SourceOptions) {
    this.uri = formatUri({ scheme: "docker", reference });
    this.#reference = reference;
    this.#options = options;
    const connections = options.connections ?? new Connections(options.maxConnections);
    this.#own = options.connections === undefined ? connections : undefined;
    this.#transport = connections.transport(reference.registry, options, reference.user);
    this.blobs = new RegistryBlobs(
      (digest, headers, what, signal) =>
        this.#transport.get(`/v2/${reference.repository}/blobs/${digest}`, headers, what, signal),
      this.uri,
      options,
      (answer, error) => this.#transport.leave(answer, error),
    );
  }

  /** How manifests were had; `undefined` as long as none was asked for. */
  get access(): Access | undefined {
    return this.#access;
  }

  /** The image manifest for the architecture. */
  async manifest(): Promise<ChosenManifest> {
    const { digest, tag } = this.#reference;
    const { bytes, type } = digest === undefined
      ? await this.#fetchManifest(tag ?? "latest", undefined)
      : this.#options.asksForManifest
      ? await this.#fetchManifest(digest, digest)
      : await this.#pinnedManifest(digest);
    return await chooseManifest(
      bytes,
      type,
      { read: async ({ digest: each }) => (await this.#pinnedManifest(each)).bytes },
      this.#options.architecture,
      this.uri,
    );
  }

  /** Let go of the image with this manifest. */
  async close(manifestDigest: Digest): Promise<void> {
    this[Symbol.dispose]();
    const { cachePath, architecture, cacheMaxSize: maxSize, log } = this.#options;
    await afterUse(cachePath, {
      image: { name: formatReference(this.#reference), manifestDigest, architecture },
      hasFetched: this.blobs.fetched > 0,
      maxSize,
      log,
    });
  }

  [Symbol.dispose](): void {
    this.blobs[Symbol.dispose]();
    this.#own?.[Symbol.dispose]();
  }

  /** What has this digest never changes: the registry is only asked for what is not in the cache. */
  async #pinnedManifest(digest: Digest): Promise<ManifestDocument> {
    const bytes = await this.blobs.find(digest);
    return bytes === undefined
      ? await this.#fetchManifest(digest, digest)
      : { bytes, type: undefined };
  }

  /** A manifest from whichever host has it right; it is kept. */
  async #fetchManifest(name: string, expected: Digest | undefined): Promise<ManifestDocument> {
    for (;;) {
      const given: { answer?: Response } = {};
      try {
        return await this.#tryManifest(name, expected, given);
      } catch (error) {
        this.#options.signal.throwIfAborted();
        const { answer } = given;
        if (answer === undefined || !(error instanceof EnrootError)) throw error;
        if (!this.#transport.leave(answer, error)) throw error;
      }
    }
  }

  /** @param given gets the answer, once there is one */
  async #tryManifest(
    name: string,
    expected: Digest | undefined,
    given: { answer?: Response },
  ): Promise<ManifestDocument> {
    const { signal, log } = this.#options;
    const path = `/v2/${this.#reference.repository}/manifests/${name}`;
    const what = `the manifest of ${this.uri}`;
    const { bytes, answer } = await retrying(
      async () => {
        delete given.answer;
        const response = await this.#transport.get(path, manifestHeaders, this.uri, signal);
        given.answer = response;
        return {
          bytes: await readDocumentBody(response, what, { signal }),
          answer: response.headers,
        };
      },
      this.#options,
      signal,
    );
    const type = answer.get("content-type") ?? undefined;
    // Its stated digest is not that of its bytes, so the reason would be lost below.
    if (type?.includes("distribution.manifest.v1+")) parseManifest(bytes, type, this.uri);
    const stated = answer.get("docker-content-digest");
    if (expected !== undefined) await checkDocument(bytes, expected, what);
    else if (stated?.startsWith("sha256:")) {
      await checkDocument(bytes, parseDigest(stated), what);
    }
    // Here it is known who gave it.
    parseManifest(bytes, type, this.uri);
    const digest = await digestOf(bytes);
    log("debug", `${this.uri}: manifest ${digest}`);
    const isAnonymous = given.answer !== undefined && this.#access !== "authorized" &&
      this.#transport.isAnonymous(given.answer, this.#reference.repository);
    this.#access = isAnonymous ? "anonymous" : "authorized";
    await this.blobs.keep(digest, bytes);
    return { bytes, type };
  }
}
