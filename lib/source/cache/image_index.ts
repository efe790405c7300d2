/**
 * The names of the images in the cache: its `index.json`, so that other tools read the cache as the OCI
 * layout it is. Source: OCI image-spec 1.1, `image-layout.md`.
 *
 * Only images that are there as a whole have a name. What others wrote into the file stays as it is.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { type Digest, hexOf } from "../../oci/digest.ts";
import { type Descriptor, parseManifest } from "../../oci/manifest.ts";
import { isStillNamed } from "../../sys/lock.ts";
import { tryLock } from "./file_lock.ts";
import { openIfThere } from "./held_blob.ts";

/** The annotation that holds an image's name. */
const nameKey = "org.opencontainers.image.ref.name";

/** The most names that are kept; the oldest go. */
const maxNames = 1000;

/** The largest document that is looked at, in bytes. */
const maxDocument = 8 << 20;

/** How deep indexes are followed. */
const maxDepth = 4;

/** How often, and after how many milliseconds each, a list that another process writes is tried again. */
const tries = 200;
const tryEvery = 10;

/** An image that is to have a name. */
export interface NamedImage {
  /** As people know it, without scheme: `registry-1.docker.io/library/ubuntu:24.04`. */
  readonly name: string;
  /** Its manifest's; no index's. */
  readonly manifestDigest: Digest;
  readonly architecture: string;
}

/** An image that has a name. */
export interface IndexedImage {
  /** `undefined` when whoever wrote it gave none. */
  readonly name: string | undefined;
  /** The digests of all its blobs: manifests, configs, layers. */
  readonly blobs: ReadonlySet<Digest>;
  /** Whether all of them are there, each with the size that is stated. */
  readonly isWhole: boolean;
}

/** An entry as it stands in the file, with whatever others noted in it. */
type Entry = Readonly<Record<string, unknown>>;

/**
 * Give an image its name, when all of it is there; another image of this name and architecture loses
 * it. Nothing is written when it has the name already.
 *
 * @returns whether it has its name now; not when a part is missing, or others kept writing the list
 * @throws {Error} when the cache cannot be written
 */
export async function nameImage(cache: string, image: NamedImage): Promise<boolean> {
  const { name, manifestDigest: digest, architecture } = image;
  const size = sizeOf(cache, digest);
  if (size === undefined) return false;
  const found = follow(cache, { mediaType: "", digest, size });
  const manifest = read(cache, digest);
  if (!found.isWhole || manifest === undefined) return false;
  const own = JSON.parse(new TextDecoder().decode(manifest)).mediaType;
  const entry = {
    mediaType: typeof own === "string" ? own : "application/vnd.oci.image.manifest.v1+json",
    digest,
    size,
    platform: { os: "linux", architecture },
    annotations: { [nameKey]: name },
  };
  const isSame = (each: Entry): boolean => each["digest"] === digest && clashes(each);
  const clashes = (each: Entry): boolean =>
    nameOf(each) === name && architectureOf(each) === architecture;
  if (entriesOf(cache).filter(clashes).some(isSame)) return true;
  return await rewrite(
    cache,
    (entries) => [...entries.filter((each) => !clashes(each)), entry].slice(-maxNames),
  );
}

/** Take the names of images of which a part is gone. @throws {Error} when the cache cannot be written */
export async function dropBrokenNames(cache: string): Promise<void> {
  const isBroken = (entry: Entry): boolean => {
    const descriptor = descriptorOf(entry);
    return descriptor !== undefined && nameOf(entry) !== undefined &&
      !follow(cache, descriptor).isWhole;
  };
  if (!entriesOf(cache).some(isBroken)) return;
  await rewrite(cache, (entries) => entries.filter((entry) => !isBroken(entry)));
}

/** The images that the list knows, in its order. */
export function indexedImages(cache: string): IndexedImage[] {
  return entriesOf(cache).flatMap((entry) => {
    const descriptor = descriptorOf(entry);
    return descriptor === undefined ? [] : [{ name: nameOf(entry), ...follow(cache, descriptor) }];
  });
}

/** Replace the list, by one process at a time. @returns `false` when others were at it all the time */
async function rewrite(
  cache: string,
  change: (entries: readonly Entry[]) => readonly Entry[],
): Promise<boolean> {
  const partial = `${cache}/index.json.partial`;
  for (let attempt = 0; attempt < tries; attempt++) {
    using file = Deno.openSync(partial, { write: true, create: true, mode: 0o644 });
    // Where there are no locks, the last one to write wins.
    if (tryLock(file, "exclusive") !== "busy" && isStillNamed(file, partial)) {
      const index = {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: change(entriesOf(cache)),
      };
      const bytes = new TextEncoder().encode(`${JSON.stringify(index)}\n`);
      file.truncateSync(0);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      Deno.renameSync(partial, `${cache}/index.json`);
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, tryEvery));
  }
  return false;
}

/** The entries of the list; none where there is no list, or none that can be read. */
function entriesOf(cache: string): readonly Entry[] {
  try {
    const manifests = JSON.parse(Deno.readTextFileSync(`${cache}/index.json`))?.manifests;
    return Array.isArray(manifests) ? manifests.filter((each) => each instanceof Object) : [];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return [];
    throw error;
  }
}

function nameOf({ annotations }: Entry): string | undefined {
  const name = (annotations as Record<string, unknown> | undefined)?.[nameKey];
  return typeof name === "string" ? name : undefined;
}

function architectureOf({ platform }: Entry): unknown {
  return (platform as Record<string, unknown> | undefined)?.["architecture"];
}

function descriptorOf(entry: Entry): Descriptor | undefined {
  try {
    const text = JSON.stringify({ schemaVersion: 2, manifests: [entry] });
    const parsed = parseManifest(new TextEncoder().encode(text), undefined, "an entry");
    return parsed.kind === "index" ? parsed.manifests[0] : undefined;
  } catch (error) {
    if (error instanceof EnrootError) return undefined;
    throw error;
  }
}

/** What was found out in one walk. */
type Followed = Map<string, Pick<IndexedImage, "blobs" | "isWhole">>;

/** What belongs to a manifest or an index; of an index at least one image must be there. */
function follow(
  cache: string,
  descriptor: Descriptor,
  known: Followed = new Map(),
  depth = 0,
): Pick<IndexedImage, "blobs" | "isWhole"> {
  // An index may name one document any number of times, on every level.
  const key = `${descriptor.digest} ${descriptor.size} ${descriptor.mediaType} ${depth}`;
  const found = known.get(key) ?? followAnew(cache, descriptor, known, depth);
  known.set(key, found);
  return found;
}

function followAnew(
  cache: string,
  descriptor: Descriptor,
  known: Followed,
  depth: number,
): Pick<IndexedImage, "blobs" | "isWhole"> {
  const blobs = new Set([descriptor.digest]);
  const document = depth < maxDepth && sizeOf(cache, descriptor.digest) === descriptor.size
    ? parse(read(cache, descriptor.digest), descriptor)
    : undefined;
  if (document === undefined) return { blobs, isWhole: false };
  if (document.kind === "image") {
    const parts = [document.config, ...document.layers];
    for (const { digest } of parts) blobs.add(digest);
    return { blobs, isWhole: parts.every(({ digest, size }) => sizeOf(cache, digest) === size) };
  }
  const images = document.manifests.map((each) => follow(cache, each, known, depth + 1))
    .filter(({ isWhole }) => isWhole);
  for (const image of images) for (const digest of image.blobs) blobs.add(digest);
  return { blobs, isWhole: images.length > 0 };
}

function parse(
  bytes: Uint8Array | undefined,
  { mediaType }: Descriptor,
): ReturnType<typeof parseManifest> | undefined {
  if (bytes === undefined) return undefined;
  try {
    return parseManifest(bytes, mediaType === "" ? undefined : mediaType, "a manifest");
  } catch (error) {
    if (error instanceof EnrootError) return undefined;
    throw error;
  }
}

function read(cache: string, digest: Digest): Uint8Array | undefined {
  using file = openIfThere(`${cache}/blobs/sha256/${hexOf(digest)}`, { read: true });
  if (file === undefined) return undefined;
  const bytes = new Uint8Array(Math.min(file.statSync().size, maxDocument));
  for (let at = 0; at < bytes.length;) {
    const length = file.readSync(bytes.subarray(at));
    if (length === null) return undefined;
    at += length;
  }
  return bytes;
}

function sizeOf(cache: string, digest: Digest): number | undefined {
  try {
    return Deno.statSync(`${cache}/blobs/sha256/${hexOf(digest)}`).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
