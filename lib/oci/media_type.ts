/**
 * The media types this program reads.
 *
 * Sources: OCI image-spec 1.1 `media-types.md`; Docker image manifest version 2, schema 2.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** How a layer's tar is stored. */
export type LayerCompression = "none" | "gzip" | "zstd";

/** Media types of a manifest that lists layers. */
export const imageManifestTypes: readonly string[] = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** Media types of a manifest that lists manifests. */
export const indexTypes: readonly string[] = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

const layerTypes: ReadonlyMap<string, LayerCompression> = new Map([
  ["application/vnd.oci.image.layer.v1.tar", "none"],
  ["application/vnd.oci.image.layer.v1.tar+gzip", "gzip"],
  ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
  ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"],
]);

/**
 * How a layer of this media type is stored.
 *
 * @throws {EnrootError} code `foreign-layer` for layers that are not distributed with the image,
 * `unknown-layer` for anything else that is no tar
 */
export function layerCompression(mediaType: string): LayerCompression {
  const compression = layerTypes.get(mediaType);
  if (compression !== undefined) return compression;
  if (/foreign|nondistributable/.test(mediaType)) {
    throw new EnrootError(
      "foreign-layer",
      `a layer is not distributed with the image (media type '${mediaType}'): ` +
        "Windows base layers cannot be imported",
    );
  }
  throw new EnrootError(
    "unknown-layer",
    `a layer's media type '${mediaType}' is no tar, tar+gzip or tar+zstd: ` +
      "encrypted or non-image artifacts cannot be imported",
  );
}
