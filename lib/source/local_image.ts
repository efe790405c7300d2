/**
 * Images in files of this machine: layout folders and archives.
 *
 * @module
 */

import { openArchive } from "./archive_file.ts";
import { openDockerArchive } from "./docker_archive.ts";
import type { Image } from "./image.ts";
import { folderFiles, Layout } from "./layout.ts";
import type { SourceOptions } from "./options.ts";
import { formatUri, type ImageUri } from "./uri.ts";

/** Where a local image is. */
export type LocalUri = Extract<ImageUri, { readonly path: string }>;

/**
 * Open a local image.
 *
 * @throws {EnrootError} when it is not there, is for another architecture, or is damaged
 */
export async function openLocalImage(uri: LocalUri, options: SourceOptions): Promise<Image> {
  const { architecture } = options;
  const name = formatUri(uri);
  await using undo = new AsyncDisposableStack();
  const files = undo.use(
    uri.scheme === "oci" ? folderFiles(uri.path) : await openArchive(uri.path, options),
  );
  let image: Image;
  if (uri.scheme === "docker-archive") {
    image = await openDockerArchive(files, uri.tag, architecture, name);
  } else {
    const layout = new Layout(files, name);
    image = await layout.image(await layout.manifest(uri.tag, architecture), architecture);
  }
  undo.move();
  return image;
}
