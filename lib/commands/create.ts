/**
 * `enroot create`
 *
 * @module
 */

import { EnrootError, UsageError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { withTermination } from "../process/signals.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";
import { digestOfFile } from "../storage/file_digest.ts";
import type { Config } from "../config/config.ts";
import { nameTaken } from "../storage/container_errors.ts";
import { readPointer } from "../storage/pointer.ts";
import { isSquashfs, unpackSquashfs } from "../storage/squashfs.ts";
import type { Store } from "../storage/store.ts";
import type { Command, Context } from "./command.ts";
import { createFromPointer } from "./create_from_pointer.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Makes a container of an image file. */
export const command: Command = {
  usage: `create [-n|--name NAME] [-f|--force] IMAGE

Create a container from an image file: a squashfs file, or on the zfs backend a
pointer file that 'import' wrote.

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
    const pointer = await readPointer(image);
    if (pointer === undefined && !await isSquashfs(image)) throw notAnImage(image);
    const config = await configOf(context);
    const store = await openStore(context, config);
    if (pointer !== undefined && !store.capabilities.keepsTemplates) throw pointerOnDir(image);
    store.ready();
    const replace = options.flag("force") || config.forceOverride;
    await withTermination((signal) =>
      pointer === undefined
        ? createFromSquashfs(context, config, store, { image, name, replace, signal })
        : createFromPointer(context, config, store, { pointer, name, replace, signal })
    );
    context.terminal.log("info", `Created container ${name}`);
    return 0;
  },
};

interface SquashfsRequest {
  readonly image: string;
  readonly name: ContainerName;
  readonly replace: boolean;
  readonly signal: AbortSignal;
}

async function createFromSquashfs(
  context: Context,
  config: Config,
  store: Store,
  { image, name, replace, signal }: SquashfsRequest,
): Promise<void> {
  const { terminal } = context;
  if (!replace && await store.hasContainer(name)) throw nameTaken(name);
  // Where nothing is shared there is no need to know the file by its content.
  const id = store.capabilities.keepsTemplates
    ? await digestOfFile(image, {
      memory: `${config.cachePath}/digests`,
      signal,
      onProgress: (done, total) => terminal.progress("Reading", done, total),
    })
    : "";
  await using template = await store.obtainTemplate({
    id,
    provenance: {},
    signal,
    build(root) {
      terminal.log("info", `Extracting ${image}`);
      return unpackSquashfs(image, root, {
        processors: config.maxProcessors,
        asRoot: Deno.uid() === 0
          ? []
          : [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
        signal,
        onProgress: (done, total) => terminal.progress("Extracting", done, total),
      });
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which extracts this image`),
  });
  await store.createContainer(name, template, { replace });
  terminal.finish();
}

function defaultName(image: string): string {
  const file = image.slice(image.lastIndexOf("/") + 1);
  return file.replace(/\.(?:sqsh|squashfs|sqfs|zfs)$/, "");
}

function notAnImage(image: string): EnrootError {
  return new EnrootError("not-squashfs", `${image} is no squashfs image`);
}

function pointerOnDir(image: string): EnrootError {
  return new EnrootError(
    "pointer-on-dir",
    `${image} is a pointer to an image in a ZFS store: set ENROOT_STORAGE_BACKEND=zfs, ` +
      "or import the image with --format=squashfs",
  );
}
