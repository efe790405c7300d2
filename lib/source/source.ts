/**
 * Opening an image, wherever it is.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import { inspectedId, openDaemonImage } from "./daemon/daemon_image.ts";
import type { EngineImage } from "./daemon/engine.ts";
import type { Image } from "./image.ts";
import { openLocalImage } from "./local_image.ts";
import type { SourceOptions } from "./options.ts";
import { openRegistryImage, resolveRegistryDigest } from "./registry/registry.ts";
import { formatUri, type ImageUri } from "./uri.ts";

export type { SourceOptions } from "./options.ts";

/**
 * Open the image a URI names: its manifest and config are read and checked, its layers not yet; of an
 * image that comes as a stream, the config may come later.
 *
 * @throws {EnrootError} when it cannot be had, is for another architecture, or is damaged
 */
export async function openImage(uri: ImageUri, options: SourceOptions): Promise<Image> {
  if (uri.scheme === "docker") {
    return await openRegistryImage(uri.reference, options);
  }
  if ("name" in uri) {
    return await openDaemonImage(engineImage(uri), options);
  }
  return await openLocalImage(uri, options);
}

/**
 * The digest of an image's manifest, for the architecture.
 *
 * @throws {EnrootError} as {@linkcode openImage}; code `no-manifest` where an image has none
 */
export async function resolveDigest(uri: ImageUri, options: SourceOptions): Promise<Digest> {
  if (uri.scheme === "docker") {
    return await resolveRegistryDigest(uri.reference, options);
  }
  if ("name" in uri) {
    const id = await inspectedId(engineImage(uri), options);
    throw new EnrootError(
      "no-manifest",
      `${formatUri(uri)} has no manifest digest: its ID is ${id}`,
    );
  }
  await using image = await openImage(uri, options);
  if (image.manifestDigest !== undefined) return image.manifestDigest;
  throw new EnrootError(
    "no-manifest",
    `${image.uri} has no manifest: its image ID is ${image.imageId}`,
  );
}

function engineImage(uri: Extract<ImageUri, { readonly name: string }>): EngineImage {
  const engine = uri.scheme === "dockerd" ? "docker" : "podman";
  return { engine, name: uri.id ?? uri.name, uri: formatUri(uri) };
}
