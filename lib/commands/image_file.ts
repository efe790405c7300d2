/**
 * Image files as templates: what `create` and `start` make containers of.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { hexOf } from "../oci/digest.ts";
import { type Pointer, readPointer } from "../storage/pointer.ts";
import { isSquashfs } from "../storage/squashfs.ts";
import type { Store, TemplateReference } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { templateIdOf } from "./template_id.ts";

/** An image file that was looked at. */
export interface ImageFile {
  /** Absolute. */
  readonly path: string;
  /** What it points to; absent: it is the image itself. */
  readonly pointer?: Pointer;
  /** Whether it is a ZFS stream, and no squashfs file. */
  readonly isStream?: boolean;
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
  if (await isSquashfs(path)) return { path };
  const { isZfsStream } = await import("./cold.ts");
  return isZfsStream(path) ? { path, isStream: true } : undefined;
}

/**
 * Use the template of an image file: the one in the store, or one that is made now.
 *
 * @param use is called with a pointer's id alone first, so that nothing is asked of the store before,
 * and a second time when there is no such template (code `no-template`)
 * @throws {EnrootError} code `pointer-on-dir` when the store keeps no templates to point to
 */
export async function useImageFile(
  context: Context,
  config: Config,
  store: Store,
  { image, signal }: { readonly image: ImageFile; readonly signal: AbortSignal },
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  const { path, pointer, isStream = false } = image;
  // What is loaded here and below is more than all the rest, and a cached image needs none of it.
  if (pointer === undefined) {
    const { useSquashfs, useZfsFile } = await import("./cold.ts");
    const useFile = isStream ? useZfsFile : useSquashfs;
    return await useFile(context, config, store, { path, signal }, use);
  }
  if (!store.capabilities.keepsTemplates) throw pointerOnDir(path);
  try {
    await use({ id: templateIdOf(config, hexOf(pointer.imageId)) });
  } catch (error) {
    if (!(error instanceof EnrootError && error.code === "no-template")) throw error;
    context.terminal.log(
      "info",
      config.templateStore === undefined
        ? "The image is not in the store any more: importing it again"
        : `The image is not in your store: asking ${pointer.uri} for it`,
    );
    const { useImportedAgain } = await import("./cold.ts");
    await useImportedAgain(context, config, store, { pointer, signal }, use);
  }
}

/** Why what only ZFS knows is of no use elsewhere; `undefined` for a squashfs. */
export function onlyOnZfs({ path, pointer, isStream }: ImageFile): EnrootError | undefined {
  if (pointer !== undefined) return pointerOnDir(path);
  if (isStream !== true) return undefined;
  const message = `${path} is a ZFS stream: set ENROOT_STORAGE_BACKEND=zfs`;
  return new EnrootError("no-zfs", message);
}

function pointerOnDir(path: string): EnrootError {
  return new EnrootError(
    "pointer-on-dir",
    `${path} is a pointer to an image in a ZFS store: set ENROOT_STORAGE_BACKEND=zfs, ` +
      "or import the image with --format=squashfs",
  );
}
