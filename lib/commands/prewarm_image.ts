/**
 * One image of many that are made ready beforehand.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { type Digest, hexOf } from "../oci/digest.ts";
import type { WorkerPool } from "../pool/pool.ts";
import { cachedFiles } from "../source/cache/contents.ts";
import type { Image } from "../source/image.ts";
import type { Connections } from "../source/registry/connections.ts";
import { defaultFileName, type ImageUri } from "../source/uri.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { assertPointable } from "../storage/pointer.ts";
import { showsTemplates, type Store } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { importImage, obtainTemplate } from "./import_image.ts";
import { type Into, intoPointer, intoSquashfs } from "./image_output.ts";
import { absolute } from "./paths.ts";
import type { ReportedBuild } from "./reported_build.ts";
import { templateIdOf } from "./template_id.ts";
import { Terminal } from "./terminal.ts";

/** What images are made into: blobs of the cache, templates of a store, or files of the two formats. */
export type Target = "cache" | "template" | "pointer" | "squashfs";

/** What all images of a call have in common. */
export interface PrewarmMeans {
  readonly context: Context;
  readonly config: Config;
  readonly target: Target;
  /** As the user gave it; absent: this machine's. */
  readonly architecture: string | undefined;
  /** Where templates go; absent where they don't. */
  readonly store?: Store;
  readonly shared: { readonly connections: Connections; readonly pool: WorkerPool };
  readonly signal: AbortSignal;
}

/** An image that is ready. */
export interface PrewarmedImage {
  readonly imageId: Digest;
  readonly manifestDigest: Digest | undefined;
  readonly architecture: string;
  /** How many layers it has. */
  readonly layers: number;
  /** How many bytes are stored of them, as far as that is known. */
  readonly size: number;
  /** How many bytes of them came for it; what came for another image meanwhile is not counted twice. */
  readonly fetched: number;
  /** Whether something was fetched, built or written for it. */
  readonly isNew: boolean;
  /** Its file, absolute, where one was written. */
  readonly file: string | undefined;
  /** What must be there for it: digests of blobs, or the id of a template. */
  readonly needs: readonly string[];
}

/**
 * Make an image ready. What it says meanwhile is for who looks closely; warnings name it.
 *
 * @param name the image, for messages
 * @throws {EnrootError} when it cannot be had, or cannot be kept
 */
export async function prewarmImage(
  means: PrewarmMeans,
  uri: ImageUri,
  name: string,
): Promise<PrewarmedImage> {
  const { config, target, architecture, store, shared, signal } = means;
  if (target === "cache" && uri.scheme !== "docker") {
    throw new EnrootError(
      "not-kept",
      "only images of registries are kept without a ZFS store: --format=squashfs makes a file of it",
    );
  }
  if (target === "pointer") assertPointable(name);
  const context = { ...means.context, terminal: new ImageTerminal(means.context.terminal, name) };
  using stack = new DisposableStack();
  const isFile = target === "pointer" || target === "squashfs";
  const path = isFile ? absolute(defaultFileName(uri)) : undefined;
  const file = path === undefined
    ? undefined
    : stack.use(createPartialFile(path, { replace: false }));
  const into = ((): Into => {
    if (target === "cache") return (_, build) => build.fetch();
    if (target === "squashfs" && file !== undefined) {
      return intoSquashfs(context, config, { file, signal });
    }
    if (store === undefined) throw new Error("templates need a store");
    if (file !== undefined) return intoPointer(context, config, store, { file, signal });
    return async (image, build) => {
      await using _kept = await obtainTemplate(context, config, store, { image, build, signal });
    };
  })();
  let made: PrewarmedImage | undefined;
  await importImage(context, config, {
    ...{ uri, architecture, signal, shared },
    ...(store === undefined ? {} : { store }),
    async into(image, build) {
      await into(image, build);
      made = describe(image, build, means, path);
    },
  });
  if (made === undefined) throw new Error("an image that was imported was described");
  return made;
}

/**
 * What is there by now of what images need. It may be less than what was made: a store that is full makes
 * room for the last images by those before.
 */
export async function whatIsThere({ config, store }: PrewarmMeans): Promise<ReadonlySet<string>> {
  if (store === undefined) {
    const blobs = cachedFiles(config.cachePath).filter(({ kind }) => kind === "blob");
    return new Set(blobs.map(({ digest }) => digest));
  }
  return showsTemplates(store) ? await store.available() : new Set();
}

/** Why an image that was ready is not there any more. */
export function goneAgain(target: Target): EnrootError {
  const [what, why] = target === "cache"
    ? ["its blobs", "ENROOT_CACHE_MAX_SIZE allows less than all of the list needs"]
    : ["its template", "the store's quota allows less than all of the list needs"];
  return new EnrootError("gone-again", `${what} had to go again to make room: ${why}`);
}

function describe(
  image: Image,
  build: ReportedBuild,
  { config, target }: PrewarmMeans,
  file: string | undefined,
): PrewarmedImage {
  const { imageId, manifestDigest, architecture, layers } = image;
  const blobs = [manifestDigest, imageId, ...layers.map(({ digest }) => digest)];
  const needs: Record<Target, readonly (string | undefined)[]> = {
    cache: blobs,
    template: [templateIdOf(config, hexOf(imageId))],
    pointer: [templateIdOf(config, hexOf(imageId))],
    squashfs: [],
  };
  return {
    ...{ imageId, manifestDigest, architecture, file },
    layers: layers.length,
    size: layers.reduce((sum, { size = 0 }) => sum + size, 0),
    fetched: build.fetched,
    isNew: file !== undefined || (target === "cache" ? build.fetched > 0 : build.isBegun),
    needs: needs[target].filter((each) => each !== undefined),
  };
}

/** What one of many images has to say: with its name in front, and no louder than it needs to be. */
class ImageTerminal extends Terminal {
  readonly #all: Terminal;
  readonly #name: string;

  constructor(all: Terminal, name: string) {
    super({
      ...{ interactive: false, colour: false, level: all.level },
      write: () => {},
      columns: () => 80,
    });
    this.#all = all;
    this.#name = name;
  }

  override log(level: Parameters<Terminal["log"]>[0], message: string): void {
    this.#all.log(level === "info" ? "debug" : level, `${this.#name}: ${message}`);
  }
}
