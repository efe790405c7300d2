/**
 * Starting a container: what `start` and `batch` have in common.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { ensureRuntimePath } from "../config/runtime_path.ts";
import { EnrootError, reasonOf } from "../errors.ts";
import {
  defaultsPath,
  helperPath,
  libraryPath,
  secondStageCommand,
  selfCommand,
} from "../process/assets.ts";
import { callerState } from "../process/caller.ts";
import { withTermination } from "../process/signals.ts";
import { hostUser } from "../runtime/host_user.ts";
import { rootName } from "../runtime/image_root.ts";
import { imageServer } from "../runtime/image_server.ts";
import type { Plan, TextFile } from "../runtime/plan.ts";
import { settingsOf } from "../runtime/script_settings.ts";
import {
  type AtEnd,
  findHooks,
  readConfigFiles,
  readText,
  type Server,
  start,
  type StartRequest,
} from "../runtime/start.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";
import {
  type Container,
  type Ephemeral,
  type EphemeralStore,
  makesEphemerals,
  type Store,
} from "../storage/store.ts";
import { existsSync } from "../sys/exists.ts";
import type { Context } from "./command.ts";
import { type ImageFile, onlyOnZfs, readImageFile, useImageFile } from "./image_file.ts";
import type { OptionTable, ParsedOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { configOf, openStore } from "./store.ts";

/** The options that say how a container is started: those of `start`, and of bundles among others. */
export const startOptions = {
  values: { conf: "c", rc: undefined },
  lists: { env: "e", mount: "m" },
  flags: {
    ...{ root: "r", rw: "w" },
    ...{ pid: undefined, net: undefined, ipc: undefined, uts: undefined },
  },
  endAtOperand: true,
} satisfies OptionTable;

/** What is to be started, as the command line has it. */
export interface StartCall {
  /** A container or an image file; absent: what the script's `ENROOT_ROOTFS` names. */
  readonly operand?: string;
  /** The command in the container; none: that of the image. */
  readonly words: readonly string[];
  /** The options of `start`. */
  readonly options: ParsedOptions;
  /** The configuration script. */
  readonly script?: TextFile;
}

/**
 * Become a container's command.
 *
 * @throws {EnrootError} when that fails; otherwise it never returns
 */
export async function startContainer(
  context: Context,
  { operand, words, options, script }: StartCall,
): Promise<never> {
  const { environment } = context;
  const settings = script === undefined ? {} : await settingsOf(script, environment);
  const config = await configOf({ ...context, environment: { ...environment, ...settings } });
  const store = await openStore(context, config);
  const target = await findTarget(store, operand ?? rootfsOf(settings, script));
  // Undone only when the start fails: after it this process is the container's.
  await using undo = new AsyncDisposableStack();
  const root = target.image === undefined
    ? { path: target.container.path }
    : makesEphemerals(store)
    ? undo.use(await ephemeralRoot(context, config, store, target.image))
    : servedRoot(config, target.image);
  const call = { words, options, ...(script === undefined ? {} : { script }) };
  return await startRoot(config, call, root);
}

/** A root folder that is to be started in, and what has to do with it. */
export interface Root extends Pick<StartRequest, "atEnd" | "server" | "watcher"> {
  /** Absolute. */
  readonly path: string;
  /** As in a {@linkcode Plan}. */
  readonly image?: "mount" | "overlay";
}

/**
 * Become the command of a container whose root folder is there.
 *
 * @throws {EnrootError} when that fails; otherwise it never returns
 */
export async function startRoot(
  config: Config,
  { words, options, script }: Omit<StartCall, "operand">,
  { path, image, atEnd, server, watcher }: Root,
): Promise<never> {
  const switches = switchesOf(config, options);
  const user = switches.remapRoot ? undefined : await hostUser();
  return start({
    plan: {
      ...planOf(config, switches, options, path, words, script),
      ...(user === undefined ? {} : { user }),
      ...(image === undefined ? {} : { image }),
    },
    unshare: switches.unshare,
    userNamespace: !(Deno.uid() === 0 && config.allowSuperuser),
    helper: helperPath("enroot-nsenter"),
    secondStage: [
      ...secondStageCommand(),
      server === undefined ? "internal-enter" : "internal-enter-image",
    ],
    ...(atEnd === undefined ? {} : { atEnd }),
    ...(server === undefined ? {} : { server }),
    ...(watcher === undefined ? {} : { watcher }),
    environment: Deno.env.toObject(),
  });
}

/** A configuration script, read once: it may be a pipe. @throws {EnrootError} code `cannot-read` */
export function readScript(path: string): TextFile {
  return { path, text: readText(absolute(path)) };
}

function rootfsOf(settings: Readonly<Record<string, string>>, script?: TextFile): string {
  const rootfs = settings["ENROOT_ROOTFS"];
  if (rootfs !== undefined && rootfs !== "") return rootfs;
  throw new EnrootError(
    "no-rootfs",
    `${script?.path} does not say what to start: it needs a line #ENROOT_ROOTFS=NAME, with the name of a ` +
      "container or an image file",
  );
}

/** What the configuration and the options decide together. */
interface Switches {
  readonly writable: boolean;
  readonly remapRoot: boolean;
  /** Further namespaces. */
  readonly unshare: readonly ("net" | "ipc" | "uts" | "pid")[];
}

function switchesOf(config: Config, options: ParsedOptions): Switches {
  const kinds = [
    ["net", config.unshareNet],
    ["ipc", config.unshareIpc],
    ["uts", config.unshareUts],
    ["pid", config.unsharePid],
  ] as const;
  return {
    writable: options.flag("rw") || config.rootfsWritable,
    remapRoot: options.flag("root") || config.remapRoot,
    unshare: kinds.filter(([kind, isOn]) => isOn || options.flag(kind)).map(([kind]) => kind),
  };
}

/** What is to be started: one of the two. */
export type Target =
  | { readonly container: Container; readonly image?: undefined }
  | { readonly container?: undefined; readonly image: ImageFile };

/**
 * What an operand names: a container before a file, because whatever lies in the current folder is no
 * reason for a job to get something else. With a `/` in it it is a file.
 *
 * @throws {EnrootError} code `not-found` when there is neither, `not-an-image` for another kind of file
 */
export async function findTarget(store: Store, operand: string): Promise<Target> {
  const isPath = operand.includes("/");
  const container = isPath ? undefined : await findContainer(store, operand);
  if (container !== undefined) return { container };
  if (isFile(operand)) {
    // All that importing needs comes with it, and a container does without.
    const image = await readImageFile(absolute(operand));
    if (image !== undefined) return { image };
    if (isPath) throw notAnImage(operand);
  }
  if (!isPath) throw neitherOf(operand);
  throw refusedPath(operand);
}

async function findContainer(store: Store, operand: string): Promise<Container | undefined> {
  let name: ContainerName;
  try {
    name = parseContainerName(operand);
  } catch (error) {
    // It may be a file's name all the same.
    if (operand !== "") return undefined;
    throw error;
  }
  return await store.container(name);
}

/** A throw-away container of an image file, and what destroys it. */
async function ephemeralRoot(
  context: Context,
  config: Config,
  store: EphemeralStore,
  image: ImageFile,
): Promise<AsyncDisposable & { readonly path: string; readonly atEnd: AtEnd }> {
  store.ready();
  let ephemeral: Ephemeral | undefined;
  await withTermination((signal) =>
    useImageFile(context, config, store, { image, signal }, async (template) => {
      ephemeral = await store.createEphemeral(template);
    })
  );
  if (ephemeral === undefined) throw new Error("the image file was not used");
  const { id, lock, path } = ephemeral;
  // Whoever waits for his container waits for no sweep but after the filling of a template.
  await store.maintain({ isAwaited: true });
  const policy = [config.templateWarmSeconds, config.templatePressureThreshold].map(String);
  const atEnd = {
    argv: [...selfCommand(), "internal-release", config.dataPath, id, ...policy],
    hold: [lock, ...callerState().programs.values()],
  };
  const destroy = ephemeral;
  return { path, atEnd, [Symbol.asyncDispose]: () => destroy[Symbol.asyncDispose]() };
}

/** A root folder that is made of an image file inside the namespaces, and gone with them. */
function servedRoot(
  { runtimePath, nativeOverlayfs }: Config,
  file: ImageFile,
): { readonly path: string; readonly image: "mount" | "overlay"; readonly server: Server } {
  const refusal = onlyOnZfs(file);
  if (refusal !== undefined) throw refusal;
  const argv = imageServer({
    image: file.path,
    place: runtimePath,
    isNative: nativeOverlayfs,
    overlayStage: [...selfCommand(), "internal-serve-overlay"],
  });
  return {
    path: `${runtimePath}/${rootName}`,
    image: nativeOverlayfs ? "overlay" : "mount",
    server: { argv, place: runtimePath, hold: [...callerState().programs.values()] },
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

/** Why a path that is no file cannot be started. */
function refusedPath(path: string): EnrootError {
  try {
    Deno.statSync(path);
    return notAnImage(path);
  } catch (error) {
    const { NotFound, NotADirectory } = Deno.errors;
    return error instanceof NotFound || error instanceof NotADirectory
      ? new EnrootError("not-found", `${path}: no such image file`)
      : new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function neitherOf(operand: string): EnrootError {
  return isFile(operand)
    ? new EnrootError(
      "not-found",
      `no container '${operand}', and the file of that name is neither a squashfs file nor a pointer ` +
        "file (enroot list shows the containers there are)",
    )
    : new EnrootError(
      "not-found",
      `no container and no image file '${operand}' (enroot list shows the containers there are)`,
    );
}

function planOf(
  config: Config,
  switches: Switches,
  options: ParsedOptions,
  rootfs: string,
  words: readonly string[],
  script: TextFile | undefined,
): Plan {
  const { softNofile, ignoredSignals, executable, programs } = callerState();
  const { writable, remapRoot, unshare } = switches;
  const rc = options.value("rc");
  const defaults = defaultsPath();
  const folders = (name: string): readonly string[] => configFolders(config, name);
  // Programs are in memory when nothing can be executed where they were unpacked to.
  const isNoexec = (folder: string): boolean => programs.size > 0 && folder.startsWith(defaults);
  ensureRuntimePath(config);
  return {
    rootfs,
    runtimePath: config.runtimePath,
    mountFiles: readConfigFiles(folders("mounts.d"), ".fstab"),
    mountOptions: options.list("mount"),
    environmentFiles: readConfigFiles(folders("environ.d"), ".env"),
    environmentOptions: options.list("env"),
    settings: hookSettings(config, switches),
    hooks: findHooks(folders("hooks.d"), isNoexec),
    hookPrograms: {
      ...(executable === undefined ? {} : { "enroot": executable, "enroot-mount": executable }),
      "enroot-nsenter": helperPath("enroot-nsenter"),
    },
    ...(script === undefined ? {} : { script }),
    ...(rc === undefined ? {} : { rc: readText(absolute(rc)) }),
    writable,
    remapRoot,
    loginShell: config.loginShell,
    ownProcesses: unshare.includes("pid"),
    command: words,
    ...(softNofile === undefined ? {} : { softNofile }),
    ignoredSignals: [...ignoredSignals],
  };
}

/** Where a start looks for files, such as those of `hooks.d`: the system's or the built-in ones, the user's. */
export function configFolders(
  { sysconfPath, configPath }: Config,
  name: string,
): readonly [system: string, user: string] {
  const system = existsSync(`${sysconfPath}/${name}`) ? sysconfPath : defaultsPath();
  return [`${system}/${name}`, `${configPath}/${name}`];
}

/** The configuration as hooks get it: an option is as good as the variable that stands for it. */
function hookSettings(
  { variables }: Config,
  { writable, remapRoot, unshare }: Switches,
): Record<string, string> {
  return {
    ENROOT_LIBRARY_PATH: libraryPath(),
    ...variables,
    ...(writable ? { ENROOT_ROOTFS_WRITABLE: "yes" } : {}),
    ...(remapRoot ? { ENROOT_REMAP_ROOT: "yes" } : {}),
    ...Object.fromEntries(unshare.map((kind) => [`ENROOT_UNSHARE_${kind.toUpperCase()}`, "yes"])),
  };
}
