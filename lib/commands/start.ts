/**
 * `enroot start`
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { ensureRuntimePath } from "../config/runtime_path.ts";
import { EnrootError, UsageError } from "../errors.ts";
import { defaultsPath, helperPath, selfCommand } from "../process/assets.ts";
import { callerState } from "../process/caller.ts";
import type { Plan } from "../runtime/plan.ts";
import { readConfigFiles, readText, start } from "../runtime/start.ts";
import { parseContainerName } from "../storage/container_name.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import { existsSync } from "../sys/exists.ts";
import type { Command, Context } from "./command.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Starts a container: the process becomes its command. */
export const command: Command = {
  usage: `start [OPTION]… NAME [COMMAND [ARG…]]

Start a container. The command runs with the PID of this process.

  -e, --env KEY[=VAL]  set a variable; KEY alone takes the host's value
  -m, --mount FSTAB    mount something: the fields of a line of fstab with : between them
      --rc FILE        run FILE in the place of the container's /etc/rc
  -r, --root           be root in the container
  -w, --rw             make the container's root filesystem writable
      --net            give it a network of its own
      --ipc            give it an IPC namespace of its own
      --uts            give it a host name of its own
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { rc: undefined },
      lists: { env: "e", mount: "m" },
      flags: { root: "r", rw: "w", net: undefined, ipc: undefined, uts: undefined },
      endAtOperand: true,
    });
    const [operand, ...words] = options.operands;
    if (operand === undefined) throw new UsageError("'start' needs a container name");

    const config = await configOf(context);
    const path = await containerPath(context, config, operand);
    const isSuperuser = Deno.uid() === 0 && config.allowSuperuser;
    const unshare = [
      ...(options.flag("net") || config.unshareNet ? ["net"] : []),
      ...(options.flag("ipc") || config.unshareIpc ? ["ipc"] : []),
      ...(options.flag("uts") || config.unshareUts ? ["uts"] : []),
    ];
    start({
      plan: planOf(config, options, path, words),
      unshare,
      userNamespace: !isSuperuser,
      helper: helperPath("enroot-nsenter"),
      secondStage: [...selfCommand(), "internal-enter"],
      environment: Deno.env.toObject(),
    });
  },
};

async function containerPath(
  context: Context,
  config: Config,
  operand: string,
): Promise<string> {
  if (operand.includes("/") && existsSync(operand)) {
    throw new EnrootError(
      "not-a-container",
      `${operand} is an image file: make a container of it with 'enroot create', and start that`,
    );
  }
  const name = parseContainerName(operand);
  const container = await (await openStore(context, config)).container(name);
  if (container === undefined) throw noSuchContainer(name);
  return container.path;
}

function planOf(
  config: Config,
  options: ParsedOptions,
  rootfs: string,
  words: readonly string[],
): Plan {
  const { softNofile, ignoredSignals } = callerState();
  const rc = options.value("rc");
  const folders = (name: string): string[] => [
    `${existsSync(`${config.sysconfPath}/${name}`) ? config.sysconfPath : defaultsPath()}/${name}`,
    `${config.configPath}/${name}`,
  ];
  ensureRuntimePath(config);
  return {
    rootfs,
    runtimePath: config.runtimePath,
    mountFiles: readConfigFiles(folders("mounts.d"), ".fstab"),
    mountOptions: options.list("mount"),
    environmentFiles: readConfigFiles(folders("environ.d"), ".env"),
    environmentOptions: options.list("env"),
    ...(rc === undefined ? {} : { rc: readText(absolute(rc)) }),
    writable: options.flag("rw") || config.rootfsWritable,
    remapRoot: options.flag("root") || config.remapRoot,
    loginShell: config.loginShell,
    command: words,
    ...(softNofile === undefined ? {} : { softNofile }),
    ignoredSignals: [...ignoredSignals],
  };
}
