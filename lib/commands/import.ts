/**
 * `enroot import`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { createdAt } from "../import/build_rootfs.ts";
import { withTermination } from "../process/signals.ts";
import type { Config } from "../config/config.ts";
import { defaultFileName, formatUri, parseImageUri } from "../source/uri.ts";
import { createPartialFile, type PartialFile } from "../storage/partial_file.ts";
import { assertPointable, formatPointer, pointerTime } from "../storage/pointer.ts";
import { makeSquashfs } from "../storage/squashfs.ts";
import { createStaging, tidyStaging } from "../sys/staging.ts";
import type { Command, Context } from "./command.ts";
import { importImage, type ImportRequest, obtainTemplate } from "./import_image.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Imports an image as a file. */
export const command: Command = {
  usage: `import [-a|--arch ARCH] [-o|--output FILE] [-f|--format pointer|squashfs] URI

Import an image as a file that containers are created from.

  URI  docker://[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST], dockerd://IMAGE[:TAG],
       podman://IMAGE[:TAG], oci:PATH[:TAG], oci-archive:PATH[:TAG] or
       docker-archive:PATH[:TAG]

  -a, --arch ARCH    the architecture of the image (default: this machine's)
  -o, --output FILE  the file (default: image and tag, then .sqsh)
  -f, --format FMT   squashfs: the image itself; pointer: its name, with the image in
                     the ZFS store (default on the zfs backend)
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { arch: "a", output: "o", format: "f" },
    });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'import' needs an image URI");
    if (more.length > 0) throw new UsageError(`'import' takes one image: '${more[0]}'`);

    const uri = parseImageUri(operand);
    const output = absolute(options.value("output") ?? defaultFileName(uri));
    const config = await configOf(context);
    const asPointer = isPointerWanted(config, options.value("format"));
    const importAs = asPointer ? importPointer : importSquashfs;
    if (asPointer) assertPointable(formatUri(uri));
    await withTermination(async (signal) => {
      using file = createPartialFile(output, { replace: false });
      await importAs(context, config, file, { uri, architecture: options.value("arch"), signal });
    });
    return 0;
  },
};

type Request = Omit<ImportRequest, "into" | "store">;

/** Which of the two is to be written. @throws {UsageError} when the format cannot be had */
function isPointerWanted(config: Config, format: string | undefined): boolean {
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
async function importPointer(
  context: Context,
  config: Config,
  file: PartialFile,
  request: Request,
): Promise<void> {
  const store = await openStore(context, config);
  store.ready();
  await importImage(context, config, {
    ...request,
    store,
    async into(image, build) {
      const wanted = { image, build, signal: request.signal };
      await using _template = await obtainTemplate(context, config, store, wanted);
      const pointer = formatPointer({
        imageId: image.imageId,
        ...(image.manifestDigest === undefined ? {} : { manifestDigest: image.manifestDigest }),
        architecture: image.architecture,
        uri: image.uri,
        imported: pointerTime(Date.now()),
      });
      await Deno.writeTextFile(file.path, pointer);
      file.publish();
    },
  });
  await store.maintain();
}

/** The image becomes a file that needs no store. */
async function importSquashfs(
  context: Context,
  config: Config,
  file: PartialFile,
  request: Request,
): Promise<void> {
  const { terminal } = context;
  const { signal } = request;
  const prefix = `enroot-import.${Deno.uid()}.`;
  tidyStaging(config.tempPath, prefix);
  await importImage(context, config, {
    ...request,
    async into(image, build) {
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
    },
  });
}
