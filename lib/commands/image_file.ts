/**
 * Image files as templates: what `create` and `start` make containers of.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { digestOfFile } from "../storage/file_digest.ts";
import { type Pointer, readPointer } from "../storage/pointer.ts";
import { isSquashfs, unpackSquashfs } from "../storage/squashfs.ts";
import type { Store, TemplateReference } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { templateIdOf } from "./import_image.ts";
import { usePointer } from "./pointer_file.ts";
import { ownershipOf, warnings } from "./reported_build.ts";

/** An image file that was looked at. */
export interface ImageFile {
  /** Absolute. */
  readonly path: string;
  /** What it points to; absent: it is a squashfs file. */
  readonly pointer?: Pointer;
}

/**
 * Look at a file.
 *
 * @param path absolute
 * @returns `undefined` when it is no image
 * @throws {EnrootError} when it cannot be read, or is a damaged pointer
 */
export async function readImageFile(path: string): Promise<ImageFile | undefined> {
  const pointer = await readPointer(path);
  if (pointer !== undefined) return { path, pointer };
  return await isSquashfs(path) ? { path } : undefined;
}

/**
 * Use the template of an image file: the one in the store, or one that is made now.
 *
 * @param use may be called a second time, when the template that it asked for by its id is not there
 * (code `no-template`)
 * @throws {EnrootError} code `pointer-on-dir` when the store keeps no templates to point to
 */
export async function useImageFile(
  context: Context,
  config: Config,
  store: Store,
  { image, signal }: { readonly image: ImageFile; readonly signal: AbortSignal },
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  const { path, pointer } = image;
  if (pointer === undefined) return await useSquashfs(context, config, store, path, signal, use);
  if (!store.capabilities.keepsTemplates) {
    throw new EnrootError(
      "pointer-on-dir",
      `${path} is a pointer to an image in a ZFS store: set ENROOT_STORAGE_BACKEND=zfs, ` +
        "or import the image with --format=squashfs",
    );
  }
  await usePointer(context, config, store, { pointer, signal }, use);
}

async function useSquashfs(
  { terminal }: Context,
  config: Config,
  store: Store,
  path: string,
  signal: AbortSignal,
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  // Where nothing is shared there is no need to know the file by its content.
  const content = store.capabilities.keepsTemplates
    ? await digestOfFile(path, {
      memory: `${config.cachePath}/digests`,
      signal,
      onProgress: (done, total) => terminal.progress("Reading", done, total),
    })
    : "";
  const keepsOwners = ownershipOf(config) === "numeric";
  await using template = await store.obtainTemplate({
    id: templateIdOf(config, content),
    provenance: {},
    signal,
    async build(root) {
      terminal.log("info", `Extracting ${path}`);
      const summary = await unpackSquashfs(path, root, {
        processors: config.maxProcessors,
        asRoot: keepsOwners ? [] : [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
        signal,
        onProgress: (done, total) => terminal.progress("Extracting", done, total),
      });
      for (const warning of warnings(summary)) terminal.log("warning", warning);
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which extracts this image`),
  });
  await use(template);
  terminal.finish();
}
