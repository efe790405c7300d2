/**
 * `enroot import`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { createdAt } from "../import/build_rootfs.ts";
import { withTermination } from "../process/signals.ts";
import { defaultFileName, parseImageUri } from "../source/uri.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { makeSquashfs } from "../storage/squashfs.ts";
import { createStaging, tidyStaging } from "../storage/staging.ts";
import type { Command } from "./command.ts";
import { importImage } from "./import_image.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf } from "./store.ts";

/** Imports an image as a file. */
export const command: Command = {
  usage: `import [-a|--arch ARCH] [-o|--output FILE] [-f|--format squashfs] URI

Import an image as a squashfs file.

  URI  docker://[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST], oci:PATH[:TAG],
       oci-archive:PATH[:TAG] or docker-archive:PATH[:TAG]

  -a, --arch ARCH    the architecture of the image (default: this machine's)
  -o, --output FILE  the file (default: image and tag, then .sqsh)
  -f, --format FMT   squashfs
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { arch: "a", output: "o", format: "f" },
    });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'import' needs an image URI");
    if (more.length > 0) throw new UsageError(`'import' takes one image: '${more[0]}'`);
    const format = options.value("format") ?? "squashfs";
    if (format !== "squashfs") {
      throw new UsageError(`unknown format '${format}': on the dir backend it can be squashfs`);
    }

    const uri = parseImageUri(operand);
    const output = absolute(options.value("output") ?? defaultFileName(uri));
    const config = await configOf(context);
    await withTermination(async (signal) => {
      using file = createPartialFile(output, { replace: false });
      const prefix = `enroot-import.${Deno.uid()}.`;
      tidyStaging(config.tempPath, prefix);
      using staging = createStaging(config.tempPath, prefix);
      await importImage(context, config, {
        uri,
        architecture: options.value("arch"),
        signal,
        async into(image, build) {
          await build(staging.path);
          context.terminal.log("info", `Writing ${output}`);
          await makeSquashfs(staging.path, file.path, {
            extra: config.squashOptions,
            processors: config.maxProcessors,
            madeAt: createdAt(image),
            signal,
            onProgress: (done, total) => context.terminal.progress("Writing", done, total),
          });
        },
      });
      file.publish();
      context.terminal.finish();
    });
    return 0;
  },
};
