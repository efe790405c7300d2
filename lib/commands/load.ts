/**
 * `enroot load`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { defaultFileName, parseImageUri } from "../source/uri.ts";
import { parseContainerName } from "../storage/container_name.ts";
import { nameTaken } from "../storage/container_errors.ts";
import type { Template } from "../storage/store.ts";
import { zfsStoreOf } from "../storage/zfs/backend.ts";
import { isZfsUri, parseNamedZfsUri } from "../transfer/zfs_uri.ts";
import type { Command, Context } from "./command.ts";
import { importImage, obtainTemplate } from "./import_image.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { configOf, openStore } from "./store.ts";
import { useTemplate } from "./use_template.ts";
import { pull } from "./zfs_peer.ts";

/** Imports an image and makes a container of it, without an image file in between. */
export const command: Command = {
  usage: `load [-a|--arch ARCH] [-n|--name NAME] [-f|--force] URI

Import an image and create a container from it in one step.

  URI  docker://[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST], dockerd://IMAGE[:TAG],
       podman://IMAGE[:TAG], oci:PATH[:TAG], oci-archive:PATH[:TAG],
       docker-archive:PATH[:TAG] or, between ZFS stores over ssh,
       zfs://[USER@]HOST[:PORT]/NAME

  -a, --arch ARCH  the architecture of the image (default: this machine's)
  -n, --name NAME  the container's name (default: image and tag)
  -f, --force      replace the container when it exists
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { arch: "a", name: "n" },
      flags: { force: "f" },
    });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'load' needs an image URI");
    if (more.length > 0) throw new UsageError(`'load' takes one image: '${more[0]}'`);

    if (isZfsUri(operand)) return await loadFromHost(context, operand, options);

    const uri = parseImageUri(operand, ["zfs://"]);
    const name = parseContainerName(
      options.value("name") ?? defaultFileName(uri).replace(/\.sqsh$/, ""),
    );
    const config = await configOf(context);
    const store = await openStore(context, config);
    store.ready();
    const replace = options.flag("force") || config.forceOverride;
    if (!replace && await store.hasContainer(name)) throw nameTaken(name);

    await withTermination((signal) =>
      importImage(context, config, {
        uri,
        architecture: options.value("arch"),
        signal,
        store,
        async into(image, build) {
          const wanted = { image, build, signal };
          const obtain = (): Promise<Template> => obtainTemplate(context, config, store, wanted);
          await useTemplate(obtain, async (template) => {
            await store.createContainer(name, template, { replace });
          });
        },
      })
    );
    context.terminal.log("info", `Created container ${name}`);
    await store.maintain();
    return 0;
  },
};

/** A container of another host's ZFS store. */
async function loadFromHost(
  context: Context,
  operand: string,
  options: ParsedOptions,
): Promise<number> {
  const uri = parseNamedZfsUri(operand);
  if (options.value("arch") !== undefined) {
    throw new UsageError("a container of another host is as it is: '--arch' is for images");
  }
  const name = parseContainerName(options.value("name") ?? uri.name);
  const config = await configOf(context);
  const store = zfsStoreOf(await openStore(context, config));
  store.ready();
  const replace = options.flag("force") || config.forceOverride;
  if (!replace && await store.hasContainer(name)) throw nameTaken(name);
  await withTermination((signal) =>
    pull(context, config, store, { uri, signal }, async ({ dataset }) => {
      await store.adoptContainer(dataset, name, { replace });
    })
  );
  context.terminal.log("info", `Created container ${name}`);
  await store.maintain();
  return 0;
}
