/**
 * An image as a file: what `import` writes, and `prewarm` when it is asked for files.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import { createdAt } from "../import/build_rootfs.ts";
import type { PartialFile } from "../storage/partial_file.ts";
import { formatPointer, pointerTime } from "../storage/pointer.ts";
import { assertMksquashfs, makeSquashfs } from "../storage/squashfs.ts";
import type { Store } from "../storage/store.ts";
import { createStaging, tidyStaging } from "../sys/staging.ts";
import type { Context } from "./command.ts";
import { type ImportRequest, obtainTemplate } from "./import_image.ts";

/** The file to write, and what ends the writing. */
export interface OutputRequest {
  readonly file: PartialFile;
  readonly signal: AbortSignal;
}

/** What is done with an image that was opened. */
export type Into = ImportRequest["into"];

/** Whether a pointer is to be written, or the image itself. @throws {UsageError} when that cannot be */
export function isPointerWanted(config: Config, format: string | undefined): boolean {
  const isZfs = config.storageBackend === "zfs";
  switch (format) {
    case "squashfs":
      return false;
    case "pointer":
      if (isZfs) return true;
      throw new UsageError("a pointer needs a ZFS store: set ENROOT_STORAGE_BACKEND=zfs");
    case undefined:
      return isZfs && config.zfsImportFormat === "pointer";
    default:
      throw new UsageError(`unknown format '${format}': it can be squashfs or pointer`);
  }
}

/** The image becomes a template of the store, and the file its name. */
export function intoPointer(
  context: Context,
  config: Config,
  store: Store,
  { file, signal }: OutputRequest,
): Into {
  return async (image, build) => {
    await using _template = await obtainTemplate(context, config, store, { image, build, signal });
    const pointer = formatPointer({
      imageId: image.imageId,
      ...(image.manifestDigest === undefined ? {} : { manifestDigest: image.manifestDigest }),
      architecture: image.architecture,
      uri: image.uri,
      imported: pointerTime(Date.now()),
    });
    await Deno.writeTextFile(file.path, pointer);
    file.publish();
  };
}

/**
 * The image becomes a file that needs no store.
 *
 * @throws {EnrootError} code `program-missing`, at once, where no such file can be made
 */
export function intoSquashfs(
  { terminal }: Context,
  config: Config,
  { file, signal }: OutputRequest,
): Into {
  assertMksquashfs();
  const prefix = `enroot-import.${Deno.uid()}.`;
  tidyStaging(config.tempPath, prefix);
  return async (image, build) => {
    // Made anew when the image has to be built a second time.
    using staging = createStaging(config.tempPath, prefix);
    await build.whole(staging.path, image.uri);
    terminal.log("info", `Writing ${file.destination}`);
    await makeSquashfs(staging.path, file.path, {
      extra: config.squashOptions,
      processors: config.maxProcessors,
      madeAt: createdAt(await image.config()),
      signal,
      onProgress: (done, total) => terminal.progress("Writing", done, total),
    });
    file.publish();
    terminal.finish();
  };
}
