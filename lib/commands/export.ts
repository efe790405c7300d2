/**
 * `enroot export`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { parseContainerName } from "../storage/container_name.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { makeSquashfs } from "../storage/squashfs.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Writes a container's root filesystem to an image file. */
export const command: Command = {
  usage: `export [-o|--output FILE] [-f|--force] [--format sqsh] NAME

Export a container's root filesystem to a squashfs file.

  -o, --output FILE  the file (default: NAME.sqsh)
  -f, --force        replace the file when it exists
      --format FMT   sqsh
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { output: "o", format: undefined },
      flags: { force: "f" },
    });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'export' needs a container name");
    if (more.length > 0) throw new UsageError(`'export' takes one container: '${more[0]}'`);
    const format = options.value("format") ?? "sqsh";
    if (format !== "sqsh") throw new UsageError(`unknown format '${format}': it can be sqsh`);

    const name = parseContainerName(operand);
    const config = await configOf(context);
    const container = await (await openStore(context, config)).container(name);
    if (container === undefined) throw noSuchContainer(name);
    const output = absolute(options.value("output") ?? `${name}.sqsh`);
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
