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
import { withTermination } from "../process/signals.ts";
import type { Plan } from "../runtime/plan.ts";
import { type AtEnd, readConfigFiles, readText, start } from "../runtime/start.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";
import { type Container, type Ephemeral, makesEphemerals, type Store } from "../storage/store.ts";
import { existsSync } from "../sys/exists.ts";
import type { Command, Context } from "./command.ts";
import { type ImageFile, readImageFile, useImageFile } from "./image_file.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** Starts a container: the process becomes its command. */
export const command: Command = {
  usage: `start [OPTION]… NAME|IMAGE [COMMAND [ARG…]]

Start a container, or on the zfs backend an image file, in a container that is gone
when it ends. The command runs with the PID of this process.

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
    const store = await openStore(context, config);
    const target = await findTarget(store, operand);
    // Undone only when the start fails: after it this process is the container's.
    await using undo = new AsyncDisposableStack();
    let path: string;
    let atEnd: AtEnd | undefined;
    if (target.image === undefined) path = target.container.path;
    else {
      const ephemeral = undo.use(await ephemeralOf(context, config, store, target.image));
      path = ephemeral.path;
      atEnd = releaseOf(config, ephemeral);
    }
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
      ...(atEnd === undefined ? {} : { atEnd }),
      environment: Deno.env.toObject(),
    });
  },
};

/** What is to be started: one of the two. */
type Target =
  | { readonly container: Container; readonly image?: undefined }
  | { readonly container?: undefined; readonly image: ImageFile };

/**
 * What an operand names: a container before a file, because whatever lies in the current folder is no
 * reason for a job to get something else. With a `/` in it it is a file.
 */
async function findTarget(store: Store, operand: string): Promise<Target> {
  const isPath = operand.includes("/");
  const container = isPath ? undefined : await findContainer(store, operand);
  if (container !== undefined) return { container };
  if (isFile(operand)) {
    // All that importing needs comes with it, and a container does without.
    const image = await readImageFile(absolute(operand));
    if (image !== undefined) return { image };
    if (isPath) throw notAnImage(operand);
  }
  throw noSuchContainer(parseContainerName(operand));
}

async function findContainer(store: Store, operand: string): Promise<Container | undefined> {
  let name: ContainerName;
  try {
    name = parseContainerName(operand);
  } catch (error) {
    // It may be a file's name all the same.
    if (isFile(operand)) return undefined;
    throw error;
  }
  return await store.container(name);
}

/** A throw-away container of an image file. */
async function ephemeralOf(
  context: Context,
  config: Config,
  store: Store,
  image: ImageFile,
): Promise<Ephemeral> {
  if (!makesEphemerals(store)) {
    throw new EnrootError(
      "not-a-container",
      `${image.path} is an image file, which only the zfs backend starts: make a container of it ` +
        "with 'enroot create', and start that",
    );
  }
  store.ready();
  let ephemeral: Ephemeral | undefined;
  await withTermination((signal) =>
    useImageFile(context, config, store, { image, signal }, async (template) => {
      ephemeral = await store.createEphemeral(template);
    })
  );
  if (ephemeral === undefined) throw new Error("the image file was not used");
  return ephemeral;
}

/** What the watcher does when the container has ended. */
function releaseOf({ dataPath }: Config, { id, lock }: Ephemeral): AtEnd {
  return {
    argv: [...selfCommand(), "internal-release", dataPath, id],
    hold: [lock, ...callerState().programs.values()],
  };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function notAnImage(path: string): EnrootError {
  return new EnrootError("not-an-image", `${path} is neither a squashfs file nor a pointer file`);
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
