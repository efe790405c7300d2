/**
 * Opening an image, wherever it is.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import type { EngineImage } from "./daemon/engine.ts";
import type { Image } from "./image.ts";
import type { SourceOptions } from "./options.ts";
import { formatUri, type ImageUri } from "./uri.ts";

export type { SourceOptions } from "./options.ts";

/**
 * Open the image a URI names: its manifest and config are read and checked, its layers not yet; of an
 * image that comes as a stream, the config may come later.
 *
 * @throws {EnrootError} when it cannot be had, is for another architecture, or is damaged
 */
export async function openImage(uri: ImageUri, options: SourceOptions): Promise<Image> {
  // Each kind of source is loaded when it is asked for: that takes longer than what it does first.
  if (uri.scheme === "docker") {
    const { openRegistryImage } = await import("./registry/registry.ts");
    return await openRegistryImage(uri.reference, options);
  }
  if ("name" in uri) {
    const { openDaemonImage } = await import("./daemon/daemon_image.ts");
    return await openDaemonImage(engineImage(uri), options);
  }
  const { openLocalImage } = await import("./local_image.ts");
  return await openLocalImage(uri, options);
}

/**
 * The digest of an image's manifest, for the architecture.
 *
 * @throws {EnrootError} as {@linkcode openImage}; code `no-manifest` where an image has none
 */
export async function resolveDigest(uri: ImageUri, options: SourceOptions): Promise<Digest> {
  if (uri.scheme === "docker") {
    const { resolveRegistryDigest } = await import("./registry/registry.ts");
    return await resolveRegistryDigest(uri.reference, options);
  }
  if ("name" in uri) {
    const { inspectedId } = await import("./daemon/daemon_image.ts");
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
