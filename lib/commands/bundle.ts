/**
 * `enroot bundle`
 *
 * @module
 */

import { collectConfiguration, type ConfigFile } from "../bundle/configuration.ts";
import { BundleWriter } from "../bundle/bundle_writer.ts";
import { type Description, descriptionName } from "../bundle/description.ts";
import { launcherName, thisProgram, writeProgram } from "../bundle/program.ts";
import { writeRootfsTar } from "../bundle/rootfs_tar.ts";
import type { Config } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { withTermination } from "../process/signals.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { withBundleSource } from "./bundle_source.ts";
import type { Command, Context } from "./command.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { absolute, imageName } from "./paths.ts";
import { configFolders } from "./start_container.ts";
import { configOf } from "./store.ts";
import { formatBytes } from "./units.ts";
import { version } from "./version.ts";

/** Makes a file that starts an image by itself. */
export const command: Command = {
  usage: `bundle [OPTION]… NAME|IMAGE

Make a bundle of a container or an image file: one file that starts it on machines
without enroot.

  -a, --all          take the user's own mounts, variables and hooks along
  -c, --checksum     have the bundle check itself whenever it is run
  -d, --desc TEXT    a description, for the bundle's --info
  -o, --output FILE  the file (default: the image's name without its suffix, and .run)
  -t, --target DIR   where the bundle's --keep puts the root filesystem (default: a folder
                     with the name of the bundle, in the current one)
  -f, --force        replace the file when it exists
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { desc: "d", output: "o", target: "t" },
      flags: { all: "a", checksum: "c", force: "f" },
    });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'bundle' needs an image or a container name");
    if (more.length > 0) throw new UsageError(`'bundle' takes one image: '${more[0]}'`);
    const config = await configOf(context);
    await withTermination((signal) => makeBundle(context, config, { operand, options, signal }));
    return 0;
  },
};

/** What is to be bundled. */
interface BundleRequest {
  readonly operand: string;
  readonly options: ParsedOptions;
  readonly signal: AbortSignal;
}

async function makeBundle(
  context: Context,
  config: Config,
  { operand, options, signal }: BundleRequest,
): Promise<void> {
  const { terminal } = context;
  const image = operand.slice(operand.lastIndexOf("/") + 1);
  const output = absolute(options.value("output") ?? `${imageName(image)}.run`);
  await using program = await thisProgram();
  using partial = createPartialFile(output, {
    replace: options.flag("force") || config.forceOverride,
    // Whoever may read it may run it.
    mode: 0o777,
  });
  const writer = new BundleWriter(partial.file);
  await writer.head(await Deno.readFile(helperPath("enroot-bundle")));
  const [text, target] = [options.value("desc"), options.value("target")];
  const isChecked = options.flag("checksum") || config.bundleChecksum;
  let size = 0;
  await withBundleSource(context, config, { operand, signal }, async (root) => {
    terminal.log("info", `Writing ${output}`);
    const rootfs = await writeRootfsTar(root, async (pieces) => {
      ({ size } = await writer.image(pieces));
    }, {
      asRoot: Deno.uid() === 0
        ? []
        : [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
      signal,
      onProgress: () => terminal.progress("Writing", 0, undefined),
    });
    const description: Description = {
      image,
      created: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      architecture: Deno.build.arch,
      version,
      ...(text === undefined ? {} : { text }),
      ...(target === undefined ? {} : { target }),
      rootfs: { ...rootfs, size },
      isChecked,
      configuration: configurationOf(context, config, options.flag("all") || config.bundleAll),
    };
    const json = new TextEncoder().encode(JSON.stringify(description));
    await writer.file(descriptionName, 0o644, [json]);
  });
  terminal.finish();
  await writeProgram(writer, program);
  await writer.end([`@/${launcherName}`, "internal-bundle"], isChecked);
  signal.throwIfAborted();
  partial.publish();
  terminal.log(
    "info",
    `${output} has ${formatBytes(writer.size)}: ${formatBytes(size)} for the image, and ` +
      `${formatBytes(writer.size - size)} for what runs it`,
  );
}

/** What a start here would be given. */
function configurationOf({ terminal }: Context, config: Config, isAll: boolean): ConfigFile[] {
  const tell = (path: string): void =>
    terminal.log(
      "warning",
      `${path} goes along, for whoever gets the bundle: others may not read it here`,
    );
  const own = (name: string): string => configFolders(config, name)[1];
  return [
    ...collectConfiguration("system", (name) => configFolders(config, name)[0], tell),
    ...(isAll ? collectConfiguration("user", own, tell) : []),
  ];
}
