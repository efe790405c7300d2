/**
 * The small files of a save: which of them is the image's config, and which layer is which.
 *
 * Sources: Docker image specification 1.0 (`ID/json` with `parent`) and 1.2 (`manifest.json`); OCI
 * image-spec 1.1, `image-layout.md`.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";
import { type DiffId, type Digest, hexOf } from "../../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../../oci/image_config.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "../../oci/manifest.ts";
import type { Platform } from "../../oci/platform.ts";
import { createSha256 } from "../../std/node.ts";

/** What is looked for. */
export interface WantedConfig {
  /** The digest of the config, or of the manifest or index that leads to it. */
  readonly engineId: Digest;
  readonly architecture: string;
  /** Of the image's layers, as the engine said. */
  readonly diffIds: readonly DiffId[];
  readonly uri: string;
}

/** The config that was found. */
export interface FoundConfig {
  readonly digest: Digest;
  readonly config: ImageConfig;
}

type Document = ImageManifest | ImageIndex | {
  readonly kind: "config";
  readonly found: FoundConfig;
};

/** All documents together may have so many bytes. */
const maxTotal = 64 << 20;

/** How deep indexes may be nested. */
const maxDepth = 4;

const version1Schema = z.object({ id: z.string(), parent: z.optional(z.string()) });
const archiveSchema = z.array(z.object({ Config: z.string() }));

/** The documents of one save, in the order in which they come. */
export class Documents {
  readonly #wanted: WantedConfig;
  readonly #byDigest = new Map<Digest, Document>();
  readonly #byName = new Map<string, Digest>();
  /** The layers of Docker's version 1: each one's parent, `undefined` for the lowest. */
  readonly #parents = new Map<string, string | undefined>();
  /** The path of the config that `manifest.json` names. */
  #listed: string | undefined;
  #total = 0;
  #isComplete = false;
  #found: FoundConfig | undefined;

  constructor(wanted: WantedConfig) {
    this.#wanted = wanted;
  }

  /**
   * The image's config, once it has come: the engine's ID leads to it from digest to digest, its
   * layers are those that the engine said, and so is its platform.
   */
  get found(): FoundConfig | undefined {
    return this.#found;
  }

  /** Take a document; one that is of no use is ignored. @throws {EnrootError} code `too-large` */
  add(name: string, bytes: Uint8Array): void {
    this.#total += bytes.length;
    if (this.#total > maxTotal) {
      throw new EnrootError(
        "too-large",
        `${this.#wanted.uri}: its documents have more than ${maxTotal} bytes`,
      );
    }
    const value = jsonOf(bytes);
    if (/(?:^|\/)json$/.test(name)) return this.#addVersion1(value);
    if (name === "manifest.json") {
      this.#listed = z.safeParse(archiveSchema, value).data?.[0]?.Config;
      return;
    }
    const digest = `sha256:${createSha256().update(bytes).digest("hex")}` as Digest;
    const document = documentOf(value, bytes, digest);
    if (document === undefined) return;
    this.#byDigest.set(digest, document);
    this.#byName.set(name, digest);
    this.#found ??= this.#lookFrom(this.#wanted.engineId);
  }

  /**
   * All have come. Where the engine's ID is no digest that leads to the config, which is so with some
   * of podman's, the archive's own lists are followed.
   */
  end(): void {
    this.#isComplete = true;
    const starts = [
      this.#wanted.engineId,
      this.#byName.get("index.json"),
      this.#byName.get(this.#listed ?? ""),
    ];
    for (const start of starts) {
      if (start !== undefined) this.#found ??= this.#lookFrom(start);
    }
  }

  /** Which layer a folder of version 1 holds, counted from 0; `undefined` when not known yet. */
  indexOfVersion1(id: string): number | undefined {
    let index = -1;
    for (let at: string | undefined = id; at !== undefined; at = this.#parents.get(at)) {
      // Of one above it nothing has come, or it is its own ancestor.
      if (!this.#parents.has(at) || index > this.#parents.size) return undefined;
      index++;
    }
    return index;
  }

  /**
   * Which layers a blob holds, counted from 0.
   *
   * @param hex of its digest
   * @returns `undefined` while that cannot be known
   */
  indexesOfBlob(hex: string): readonly number[] | undefined {
    const config = this.#found?.digest ?? this.#wanted.engineId;
    const manifests = [...this.#byDigest.values()].filter((document) => document.kind === "image")
      .filter((manifest) => manifest.config.digest === config);
    const indexes = manifests.flatMap(({ layers }) =>
      layers.flatMap(({ digest }, index) => hexOf(digest) === hex ? [index] : [])
    );
    if (indexes.length > 0) return [...new Set(indexes)];
    return manifests.length > 0 && this.#found !== undefined ? [] : undefined;
  }

  #addVersion1(value: unknown): void {
    const { data } = z.safeParse(version1Schema, value);
    if (data !== undefined) this.#parents.set(data.id, data.parent || undefined);
  }

  /** The config that a digest leads to; `undefined` when it does not, as far as is known. */
  #lookFrom(digest: Digest): FoundConfig | undefined {
    const reached = this.#reach(digest);
    return reached === "not yet" ? undefined : reached;
  }

  #reach(digest: Digest, depth = 0): FoundConfig | "not yet" | undefined {
    const document = this.#byDigest.get(digest);
    if (document === undefined) return this.#isComplete ? undefined : "not yet";
    if (depth > maxDepth) return undefined;
    switch (document.kind) {
      case "config":
        return this.#isWanted(document.found) ? document.found : undefined;
      case "image":
        return this.#reach(document.config.digest, depth + 1);
      case "index":
        for (const { digest: next, platform } of document.manifests) {
          if (platform !== undefined && !this.#isPlatform(platform)) continue;
          // Of several the first one counts, so it is waited for.
          const reached = this.#reach(next, depth + 1);
          if (reached !== undefined) return reached;
        }
        return undefined;
    }
  }

  #isWanted({ config }: FoundConfig): boolean {
    return this.#isPlatform(config) && config.diffIds.join() === this.#wanted.diffIds.join();
  }

  #isPlatform({ os, architecture }: Platform): boolean {
    return os === "linux" && architecture === this.#wanted.architecture;
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** What a document is; `undefined` when it is nothing that leads anywhere. */
function documentOf(value: unknown, bytes: Uint8Array, digest: Digest): Document | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    if ("rootfs" in value) {
      return { kind: "config", found: { digest, config: parseImageConfig(bytes, digest) } };
    }
    const isManifest = "layers" in value || "manifests" in value;
    return isManifest ? parseManifest(bytes, undefined, digest) : undefined;
  } catch (error) {
    if (error instanceof EnrootError) return undefined;
    throw error;
  }
}
