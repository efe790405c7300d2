/**
 * `enroot export`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import type { Config } from "../config/config.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { makeSquashfs } from "../storage/squashfs.ts";
import { zfsStoreOf } from "../storage/zfs/backend.ts";
import { isZfsUri, parseZfsUri } from "../transfer/zfs_uri.ts";
import type { Command, Context } from "./command.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";
import { writeZfsFile } from "./zfs_file.ts";
import { push } from "./zfs_peer.ts";
import { serveSend } from "./zfs_serve.ts";

/** Writes a container's root filesystem to an image file. */
export const command: Command = {
  usage: `export [-o|--output FILE|URI] [-f|--force] [--format sqsh|zfs] NAME [URI]

Export a container to a file, or to another host's ZFS store.

  URI  zfs://[USER@]HOST[:PORT][/NAME], over ssh; it has the same name there by default

  -o, --output FILE  the file (default: NAME.sqsh or NAME.zfs), or such a URI
  -f, --force        replace the file, or the container there, when it exists
      --format FMT   sqsh: a squashfs file (default); zfs: a ZFS stream of the
                     container as it is now
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { output: "o", format: undefined, protocol: undefined },
      flags: { force: "f", "zfs-send": undefined },
    });
    const [operand, ...others] = options.operands;
    if (operand === undefined) throw new UsageError("'export' needs a container name");
    if (options.flag("zfs-send")) {
      await serveSend(context, operand, options.value("protocol"));
      return 0;
    }
    const isToHost = others.length === 1 && isZfsUri(others[0] ?? "");
    const [target = options.value("output"), ...more] = isToHost ? others : [undefined, ...others];
    if (more.length > 0) throw new UsageError(`'export' takes one container: '${more[0]}'`);

    const name = parseContainerName(operand);
    const config = await configOf(context);
    if (target !== undefined && isZfsUri(target)) {
      if (options.value("format") === "sqsh") {
        throw new UsageError("what goes to another host is a ZFS stream: '--format' is for files");
      }
      await exportToHost(context, config, { name, target, force: options.flag("force") });
      return 0;
    }
    const format = options.value("format") ?? "sqsh";
    if (format === "zfs") {
      const output = absolute(target ?? `${name}.zfs`);
      await exportAsStream(context, config, { name, output, force: options.flag("force") });
      return 0;
    }
    if (format !== "sqsh") {
      throw new UsageError(`unknown format '${format}': it can be sqsh or zfs`);
    }
    const container = await (await openStore(context, config)).container(name);
    if (container === undefined) throw noSuchContainer(name);
    const output = absolute(target ?? `${name}.sqsh`);
    await withTermination(async (signal) => {
      using file = createPartialFile(output, {
        replace: options.flag("force") || config.forceOverride,
      });
      context.terminal.log("info", `Writing ${output}`);
      await makeSquashfs(container.path, file.path, {
        extra: config.squashOptions,
        processors: config.maxProcessors,
        leaveOut: [".lock"],
        signal,
        onProgress: (done, total) => context.terminal.progress("Writing", done, total),
      });
      file.publish();
      context.terminal.finish();
    });
    return 0;
  },
};

/** The container as it is now, as a file that another ZFS store takes. */
async function exportAsStream(
  context: Context,
  config: Config,
  { name, output, force }: {
    readonly name: ContainerName;
    readonly output: string;
    readonly force: boolean;
  },
): Promise<void> {
  const store = zfsStoreOf(await openStore(context, config));
  await withTermination(async (signal) => {
    using file = createPartialFile(output, { replace: force || config.forceOverride });
    context.terminal.log("info", `Writing ${output}`);
    await writeZfsFile(context, store, { name, file, signal });
    context.terminal.finish();
  });
}

/** The container as it is now, into another host's store. */
async function exportToHost(
  context: Context,
  config: Config,
  { name, target, force }: {
    readonly name: ContainerName;
    readonly target: string;
    readonly force: boolean;
  },
): Promise<void> {
  const uri = parseZfsUri(target);
  const store = await openStore(context, config);
  await withTermination((signal) =>
    push(context, config, store, { name, uri, replace: force, signal })
  );
}
