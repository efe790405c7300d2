/**
 * From a manifest to an image: what registry, layout and archive have in common.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { type Digest, DigestMismatchError, digestOf } from "../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../oci/image_config.ts";
import { type Descriptor, type ImageManifest, parseManifest } from "../oci/manifest.ts";
import { layerCompression } from "../oci/media_type.ts";
import { formatPlatform, noPlatform, selectPlatform } from "../oci/platform.ts";
import type { Image, Layer, OpenedLayer } from "./image.ts";

/** Documents larger than this are refused: they are read whole. */
export const maxDocument = 8 << 20;

/** How deep indexes may be nested. */
const maxDepth = 4;

/** Where manifests, configs and layers are stored. */
export interface BlobStore {
  /** A small document's bytes, checked against its descriptor. */
  read(descriptor: Descriptor, what: string): Promise<Uint8Array>;
  /** A layer's bytes as a local file. */
  open(
    descriptor: Descriptor,
    options: Parameters<Layer["open"]>[0],
  ): Promise<Omit<OpenedLayer, "compression">>;
  /** Drop a layer's bytes, where they are ours to drop. */
  discard?(descriptor: Descriptor): Promise<void>;
}

/** A manifest with the digest of its bytes. */
export interface ChosenManifest {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
}

/**
 * Follow a manifest document to the image manifest for an architecture, through indexes.
 *
 * @param what the image, for messages
 * @throws {EnrootError} when there is none, or a document is not what it should be
 */
export async function chooseManifest(
  bytes: Uint8Array,
  mediaType: string | undefined,
  store: Pick<BlobStore, "read">,
  architecture: string,
  what: string,
): Promise<ChosenManifest> {
  let document = bytes;
  let type = mediaType;
  for (let depth = 0; depth < maxDepth; depth++) {
    const parsed = parseManifest(document, type, what);
    if (parsed.kind === "image") return { digest: await digestOf(document), manifest: parsed };
    const chosen = selectPlatform(parsed.manifests, architecture, what);
    document = await store.read(chosen, `the manifest of ${what}`);
    type = chosen.mediaType;
  }
  throw new EnrootError("bad-manifest", `${what}: its indexes are nested without end`);
}

/**
 * The image of a manifest.
 *
 * @param dispose frees what was opened for it
 * @throws {EnrootError} when its config and its layers do not fit together, or it is for another
 * architecture
 */
export async function imageOf(
  { digest, manifest }: ChosenManifest,
  store: BlobStore,
  architecture: string,
  uri: string,
  dispose: () => Promise<void> = () => Promise.resolve(),
): Promise<Image> {
  // First, because what is no image says so here: the config of an artifact can be anything.
  const compressions = manifest.layers.map(({ mediaType }) => layerCompression(mediaType));
  const configBytes = await store.read(manifest.config, `the config of ${uri}`);
  const config = parseImageConfig(configBytes, uri);
  checkPlatform(config, architecture, uri);
  if (config.diffIds.length !== manifest.layers.length) {
    throw new EnrootError(
      "bad-manifest",
      `${uri}: its manifest lists ${manifest.layers.length} layers, its config ` +
        `${config.diffIds.length}`,
    );
  }
  const layers = manifest.layers.map((descriptor, index): Layer => {
    const diffId = config.diffIds[index];
    const compression = compressions[index];
    if (diffId === undefined || compression === undefined) {
      throw new Error("a layer without a diff ID");
    }
    return {
      diffId,
      digest: descriptor.digest,
      size: descriptor.size,
      open: async (options) => ({ ...await store.open(descriptor, options), compression }),
      ...(store.discard === undefined
        ? {}
        : { discard: () => store.discard?.(descriptor) ?? Promise.resolve() }),
    };
  });
  return {
    uri,
    imageId: manifest.config.digest,
    manifestDigest: digest,
    architecture: config.architecture,
    layers,
    config: () => Promise.resolve(config),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Refuse an image of another platform. @throws {EnrootError} code `no-platform` */
export function checkPlatform(config: ImageConfig, architecture: string, what: string): void {
  if (config.os === "linux" && config.architecture === architecture) return;
  throw noPlatform(what, architecture, [formatPlatform(config)]);
}

/** Check a document's bytes against its descriptor. @throws {DigestMismatchError} */
export async function checkDocument(
  bytes: Uint8Array,
  expected: Digest,
  what: string,
): Promise<Uint8Array> {
  const actual = await digestOf(bytes);
  if (actual !== expected) throw new DigestMismatchError(what, expected, actual);
  return bytes;
}
