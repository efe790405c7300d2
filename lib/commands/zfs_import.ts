/**
 * A container of another host as a file.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { assertMksquashfs, makeSquashfs } from "../storage/squashfs.ts";
import { parseNamedZfsUri } from "../transfer/zfs_uri.ts";
import type { Context } from "./command.ts";
import type { ParsedOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";
import { pull, pullFile } from "./zfs_peer.ts";

/**
 * Write a container of another host to a file: a ZFS stream, or by way of a ZFS store here a squashfs file.
 *
 * @param operand its URI
 * @param options those of `import`
 * @throws {EnrootError}
 */
export async function importFromHost(
  context: Context,
  operand: string,
  options: ParsedOptions,
): Promise<void> {
  const { terminal } = context;
  const uri = parseNamedZfsUri(operand);
  const wanted = options.value("output");
  const format = options.value("format");
  if (format !== undefined && format !== "squashfs") {
    throw new UsageError(`a container of another host cannot be imported as '${format}'`);
  }
  const isSquashfs = format === "squashfs" || wanted?.endsWith(".sqsh") === true;
  const output = absolute(wanted ?? `${uri.name}.${isSquashfs ? "sqsh" : "zfs"}`);
  if (isSquashfs) assertMksquashfs();
  const config = await configOf(context);
  await withTermination(async (signal) => {
    using file = createPartialFile(output, { replace: false });
    if (!isSquashfs) return await pullFile(context, config, { uri, file, signal });
    const store = await openStore(context, config);
    store.ready();
    await pull(context, config, store, { uri, signal }, async (received) => {
      terminal.finish();
      terminal.log("info", `Writing ${output}`);
      await makeSquashfs(await received.mount(), file.path, {
        extra: config.squashOptions,
        processors: config.maxProcessors,
        leaveOut: [".lock"],
        signal,
        onProgress: (done, total) => terminal.progress("Writing", done, total),
      });
      file.publish();
    });
    await store.maintain();
  });
}
