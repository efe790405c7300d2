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
import type { Command } from "./command.ts";
import { importImage, obtainTemplate } from "./import_image.ts";
import { parseOptions } from "./options.ts";
import { configOf, openStore } from "./store.ts";

/** Imports an image and makes a container of it, without an image file in between. */
export const command: Command = {
  usage: `load [-a|--arch ARCH] [-n|--name NAME] [-f|--force] URI

Import an image and create a container from it in one step.

  URI  docker://[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST], dockerd://IMAGE[:TAG],
       podman://IMAGE[:TAG], oci:PATH[:TAG], oci-archive:PATH[:TAG] or
       docker-archive:PATH[:TAG]

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

    const uri = parseImageUri(operand);
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
          await using template = await obtainTemplate(context, config, store, wanted);
          await store.createContainer(name, template, { replace });
        },
      })
    );
    context.terminal.log("info", `Created container ${name}`);
    await store.maintain();
    return 0;
  },
};
