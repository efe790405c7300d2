/**
 * Images in OCI layouts: a folder (`oci:`), or the same inside an archive (`oci-archive:`).
 *
 * Source: OCI image-spec 1.1, `image-layout.md`.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { hexOf } from "../oci/digest.ts";
import { type Descriptor, type ImageIndex, parseManifest } from "../oci/manifest.ts";
import type { Image, LayerFile } from "./image.ts";
import {
  type BlobStore,
  checkDocument,
  chooseManifest,
  type ChosenManifest,
  imageOf,
  maxDocument,
} from "./open_manifest.ts";

/** The files of a layout, wherever they are. */
export interface LayoutFiles extends AsyncDisposable {
  /** Where a file is, by its path in the layout; `undefined` when it is not there. */
  find(path: string): Promise<LayerFile | undefined>;
}

/** The name of an image in a layout, as the specification and as containerd write it. */
const nameAnnotations = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/** A layout. */
export class Layout implements BlobStore {
  readonly #files: LayoutFiles;
  readonly #uri: string;

  /** @param uri what it is called in messages */
  constructor(files: LayoutFiles, uri: string) {
    this.#files = files;
    this.#uri = uri;
  }

  /**
   * The manifest of an image for an architecture.
   *
   * @param tag which image; left out it is the only one, or the one called `latest`
   * @throws {EnrootError} code `no-tag`, listing the tags there are
   */
  async manifest(tag: string | undefined, architecture: string): Promise<ChosenManifest> {
    const file = await this.#files.find("index.json");
    if (file === undefined) {
      throw new EnrootError("bad-layout", `${this.#uri} is no OCI layout: it has no index.json`);
    }
    const bytes = await readDocument(file, `the index of ${this.#uri}`);
    const index = parseManifest(bytes, undefined, `the index of ${this.#uri}`);
    if (index.kind !== "index") {
      throw new EnrootError("bad-layout", `${this.#uri}: its index.json is no index`);
    }
    const chosen = chooseByTag(index, tag, this.#uri);
    // Several entries of one name are one image for several platforms.
    const document = chosen.length === 1 && chosen[0] !== undefined
      ? await this.read(chosen[0], `the manifest of ${this.#uri}`)
      : new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests: chosen }));
    const type = chosen.length === 1 ? chosen[0]?.mediaType : undefined;
    return await chooseManifest(document, type, this, architecture, this.#uri);
  }

  /** The image of a manifest; disposing of it frees the layout's files. */
  image(chosen: ChosenManifest, architecture: string): Promise<Image> {
    return imageOf(
      chosen,
      this,
      architecture,
      this.#uri,
      async () => await this.#files[Symbol.asyncDispose](),
    );
  }

  async read(descriptor: Descriptor, what: string): Promise<Uint8Array> {
    const bytes = await readDocument(await this.#blob(descriptor, what), what);
    return await checkDocument(bytes, descriptor.digest, what);
  }

  async open(descriptor: Descriptor): Promise<LayerFile> {
    const what = `layer ${descriptor.digest} of ${this.#uri}`;
    const file = await this.#blob(descriptor, what);
    if (file.size !== descriptor.size) {
      throw new EnrootError(
        "size-mismatch",
        `${what} has ${file.size} bytes, its manifest states ${descriptor.size}`,
      );
    }
    // Whoever reads it is a thread that knows nothing of layouts. Of many layers one is open at a time.
    openToRead(file, what).close();
    return file;
  }

  async #blob({ digest }: Descriptor, what: string): Promise<LayerFile> {
    const file = await this.#files.find(`blobs/sha256/${hexOf(digest)}`);
    if (file !== undefined) return file;
    throw new EnrootError("bad-layout", `${what} is missing`);
  }
}

/** A layout that is a folder. @throws {EnrootError} code `not-found` when there is none */
export function folderFiles(folder: string): LayoutFiles {
  const info = infoOf(folder);
  if (info === undefined) throw new EnrootError("not-found", `${folder}: no such folder`);
  if (!info.isDirectory) {
    throw new EnrootError(
      "not-found",
      `${folder} is no folder: archives are opened by oci-archive: and docker-archive:`,
    );
  }
  return {
    find: (path) =>
      Promise.resolve().then(() => {
        const whole = `${folder}/${path}`;
        const found = infoOf(whole);
        return found?.isFile ? { path: whole, offset: 0, size: found.size } : undefined;
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What a path leads to; `undefined` when there is nothing. */
function infoOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function openToRead({ path }: LayerFile, what: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (error) {
    throw new EnrootError("cannot-read", `cannot read ${what}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** A small file's bytes. @throws {EnrootError} when it cannot be read, or is too large to be a document */
export async function readDocument(file: LayerFile, what: string): Promise<Uint8Array> {
  if (file.size > maxDocument) {
    throw new EnrootError("too-large", `${what} has ${file.size} bytes: that is no document`);
  }
  using opened = openToRead(file, what);
  await opened.seek(file.offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(file.size);
  for (let at = 0; at < bytes.length;) {
    const length = await opened.read(bytes.subarray(at));
    if (length === null) throw new EnrootError("truncated", `${what} is truncated`);
    at += length;
  }
  return bytes;
}

function chooseByTag(
  { manifests }: ImageIndex,
  tag: string | undefined,
  uri: string,
): readonly Descriptor[] {
  const named = manifests.map((entry) => ({ entry, names: namesOf(entry) }));
  const all = [...new Set(named.flatMap(({ names }) => names))];
  // An entry without a name beside one with a name is another image.
  const images = new Set(named.map(({ names }) => names[0]));
  const chosen = tag === undefined
    ? images.size > 1 ? manifests.filter((entry) => namesOf(entry)[0] === "latest") : manifests
    : named.filter(({ names }) =>
      names.some((name) => name === tag || name.endsWith(`:${tag}`) || name.endsWith(`/${tag}`))
    ).map(({ entry }) => entry);
  if (chosen.length > 0) return chosen;
  throw new EnrootError(
    "no-tag",
    tag === undefined
      ? `${uri} holds several images, name one by its tag: ${all.join(", ")}`
      : `${uri} holds no image '${tag}'; there is: ${all.join(", ") || "one without a tag"}`,
  );
}

function namesOf({ annotations }: Descriptor): string[] {
  const found = nameAnnotations.map((key) => annotations?.[key]);
  return found.filter((name) => name !== undefined).slice(0, 1);
}
