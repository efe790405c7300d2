/**
 * `enroot create`
 *
 * @module
 */

import { EnrootError, UsageError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { withTermination } from "../process/signals.ts";
import { parseContainerName } from "../storage/container_name.ts";
import { nameTaken } from "../storage/dir/dir_store.ts";
import { isPointer } from "../storage/pointer.ts";
import { isSquashfs, unpackSquashfs } from "../storage/squashfs.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Makes a container of an image file. */
export const command: Command = {
  usage: `create [-n|--name NAME] [-f|--force] IMAGE

Create a container from a squashfs image file.

  -n, --name NAME  its name (default: the file's name without its suffix)
  -f, --force      replace the container when it exists
`,
  async run(context) {
    const options = parseOptions(context.args, { values: { name: "n" }, flags: { force: "f" } });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'create' needs an image file");
    if (more.length > 0) throw new UsageError(`'create' takes one image file: '${more[0]}'`);

    const image = absolute(operand);
    const name = parseContainerName(options.value("name") ?? defaultName(image));
    if (!await isSquashfs(image)) throw await notAnImage(image);
    const config = await configOf(context);
    const store = openStore(config);
    const replace = options.flag("force") || config.forceOverride;
    if (!replace && await store.container(name) !== undefined) throw nameTaken(name);

    await withTermination(async (signal) => {
      context.terminal.log("info", `Extracting ${image}`);
      await using prepared = await store.prepareTemplate();
      await unpackSquashfs(image, prepared.path, {
        processors: config.maxProcessors,
        asRoot: Deno.uid() === 0
          ? []
          : [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
        signal,
        onProgress: (done, total) => context.terminal.progress("Extracting", done, total),
      });
      await store.createContainer(name, await prepared.commit(), { replace });
      context.terminal.finish();
    });
    context.terminal.log("info", `Created container ${name}`);
    return 0;
  },
};

function defaultName(image: string): string {
  const file = image.slice(image.lastIndexOf("/") + 1);
  return file.replace(/\.(?:sqsh|squashfs|sqfs|zfs)$/, "");
}

async function notAnImage(image: string): Promise<EnrootError> {
  return await isPointer(image)
    ? new EnrootError(
      "pointer-on-dir",
      `${image} is a pointer to an image in a ZFS store: set ENROOT_STORAGE_BACKEND=zfs, ` +
        "or import the image with --format=squashfs",
    )
    : new EnrootError("not-squashfs", `${image} is no squashfs image`);
}
