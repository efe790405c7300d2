/**
 * `enroot import`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { defaultFileName, formatUri, parseImageUri } from "../source/uri.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { assertPointable } from "../storage/pointer.ts";
import { isZfsUri } from "../transfer/zfs_uri.ts";
import type { Command } from "./command.ts";
import { importImage } from "./import_image.ts";
import { intoPointer, intoSquashfs, isPointerWanted } from "./image_output.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";
import { importFromHost } from "./zfs_import.ts";
import { serveReceive } from "./zfs_serve.ts";

/** Imports an image as a file. */
export const command: Command = {
  usage: `import [-a|--arch ARCH] [-o|--output FILE] [-f|--format pointer|squashfs] URI

Import an image as a file that containers are created from.

  URI  docker://[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST], dockerd://IMAGE[:TAG],
       podman://IMAGE[:TAG], oci:PATH[:TAG], oci-archive:PATH[:TAG],
       docker-archive:PATH[:TAG] or, from another host's ZFS store over ssh,
       zfs://[USER@]HOST[:PORT]/NAME

  -a, --arch ARCH    the architecture of the image (default: this machine's)
  -o, --output FILE  the file (default: image and tag, then .sqsh; of zfs:// the name,
                     then .zfs: the container as a ZFS stream)
  -f, --format FMT   squashfs: the image itself; pointer: its name, with the image in
                     the ZFS store (default on the zfs backend)
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { arch: "a", output: "o", format: "f", name: "n", protocol: undefined },
      flags: { "zfs-recv": undefined, force: undefined },
    });
    const name = options.value("name");
    if (options.flag("zfs-recv") && name !== undefined) {
      const protocol = options.value("protocol");
      await serveReceive(context, name, { protocol, force: options.flag("force") });
      return 0;
    }
    if (name !== undefined || options.flag("force")) {
      throw new UsageError(
        "'import' makes a file and no container, and replaces none: see 'enroot load'",
      );
    }
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'import' needs an image URI");
    if (more.length > 0) throw new UsageError(`'import' takes one image: '${more[0]}'`);

    if (isZfsUri(operand)) {
      await importFromHost(context, operand, options);
      return 0;
    }
    const uri = parseImageUri(operand, ["zfs://"]);
    const output = absolute(options.value("output") ?? defaultFileName(uri));
    const config = await configOf(context);
    const asPointer = isPointerWanted(config, options.value("format"));
    if (asPointer) assertPointable(formatUri(uri));
    await withTermination(async (signal) => {
      using file = createPartialFile(output, { replace: false });
      const request = { uri, architecture: options.value("arch"), signal };
      const target = { file, signal };
      if (!asPointer) {
        const into = intoSquashfs(context, config, target);
        return await importImage(context, config, { ...request, into });
      }
      const store = await openStore(context, config);
      store.ready();
      const into = intoPointer(context, config, store, target);
      await importImage(context, config, { ...request, store, into });
      await store.maintain();
    });
    return 0;
  },
};
