/**
 * `enroot create`
 *
 * @module
 */

import { EnrootError, UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { nameTaken } from "../storage/container_errors.ts";
import { parseContainerName } from "../storage/container_name.ts";
import type { Command } from "./command.ts";
import { readImageFile, useImageFile } from "./image_file.ts";
import { parseOptions } from "./options.ts";
import { absolute, imageName } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Makes a container of an image file. */
export const command: Command = {
  usage: `create [-n|--name NAME] [-f|--force] IMAGE

Create a container from an image file: a squashfs file, or on the zfs backend a
pointer file that 'import' wrote, or a .zfs file that 'export' did.

  -n, --name NAME  its name (default: the file's name without its suffix)
  -f, --force      replace the container when it exists
`,
  async run(context) {
    const options = parseOptions(context.args, { values: { name: "n" }, flags: { force: "f" } });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'create' needs an image file");
    if (more.length > 0) throw new UsageError(`'create' takes one image file: '${more[0]}'`);

    const path = absolute(operand);
    const name = parseContainerName(options.value("name") ?? imageName(path));
    const image = await readImageFile(path);
    if (image === undefined) throw notAnImage(path);
    const config = await configOf(context);
    const store = await openStore(context, config);
    store.ready();
    const replace = options.flag("force") || config.forceOverride;
    // A pointer costs nothing but the clone, which finds out by itself.
    const isCostly = image.pointer === undefined;
    if (isCostly && !replace && await store.hasContainer(name)) throw nameTaken(name);
    await withTermination((signal) =>
      useImageFile(context, config, store, { image, signal }, async (template) => {
        await store.createContainer(name, template, { replace });
      })
    );
    context.terminal.log("info", `Created container ${name}`);
    await store.maintain();
    return 0;
  },
};

function notAnImage(image: string): EnrootError {
  return new EnrootError(
    "not-squashfs",
    `${image} is no image: neither a squashfs file nor a pointer file nor a ZFS stream`,
  );
}
