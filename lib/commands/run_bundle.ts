/**
 * What a bundle does when it is run: only its head (helper/enroot-bundle.c) calls this.
 *
 * @module
 */

import { writeConfiguration } from "../bundle/configuration.ts";
import { type Description, descriptionName } from "../bundle/description.ts";
import { readPayload } from "../bundle/payload.ts";
import { checkKernel, checkUserNamespaces } from "../check/kernel.ts";
import { EnrootError, reasonOf, UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { settingsOf } from "../runtime/script_settings.ts";
import { close } from "../sys/at.ts";
import { removeTree } from "../sys/remove_tree.ts";
import { tidyStaging } from "../sys/staging.ts";
import { line } from "./check.ts";
import type { Command, Context } from "./command.ts";
import { printError } from "./console.ts";
import { leftOut } from "./left_out.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";
import { makePool } from "./reported_build.ts";
import { readScript, startOptions, startRoot } from "./start_container.ts";
import { configOf } from "./store.ts";
import { formatBytes } from "./units.ts";

/** A bundle that runs. */
interface Bundle {
  /** Where it is. */
  readonly path: string;
  /** The folder that the head has made; the watcher removes it. */
  readonly folder: string;
  /** The bundle, open. */
  readonly descriptor: number;
  readonly watcher: number;
  readonly description: Description;
}

/** The help of a bundle, behind its name. */
export const bundleUsage = `[OPTION]… [COMMAND [ARG…]]

Start the image that is in this file, in a container that is gone when it ends. The
command runs with the PID of this process.

  -i, --info           show what is in the bundle
  -v, --verify         check that this machine can start it
  -x, --extract        write the root filesystem to a folder: the next argument, or the
                       one that --keep takes
  -k, --keep           keep the root filesystem that is started
  -q, --quiet          say nothing but errors
  -c, --conf FILE      run a configuration script first: bash with any of the functions
                       environ, mounts, hooks and rc
  -e, --env KEY[=VAL]  set a variable; KEY alone takes the host's value
  -m, --mount FSTAB    mount something: the fields of a line of fstab with : between them
      --rc FILE        run FILE in the place of the container's /etc/rc
  -r, --root           be root in the container
  -w, --rw             make the container's root filesystem writable
      --pid, --net, --ipc, --uts
                       give it a process namespace, a network, an IPC namespace, a host
                       name of its own
  -h, --help           show this
`;

/** Runs a bundle. */
export const command: Command = {
  usage: "internal-bundle FOLDER BUNDLE WATCHER PATH [ARG…]\n",
  async run(context) {
    const [folder = "", descriptor = "", watcher = "", path = "", ...args] = context.args;
    if (path === "" || !/^\d{1,9}$/.test(descriptor) || !/^\d{1,9}$/.test(watcher)) {
      throw new UsageError("'internal-bundle' is not for users");
    }
    const text = Deno.readTextFileSync(`${folder}/program/${descriptionName}`);
    const bundle: Bundle = {
      ...{ path, folder, descriptor: Number(descriptor), watcher: Number(watcher) },
      description: JSON.parse(text),
    };
    try {
      return await runBundle({ ...context, args }, bundle);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      context.terminal.log("error", error.message);
      printError(`Usage: ${nameOf(bundle)} ${bundleUsage}`);
      return 1;
    }
  },
};

async function runBundle(context: Context, bundle: Bundle): Promise<number> {
  const { terminal, print } = context;
  const { description, folder } = bundle;
  const options = parseOptions(context.args, {
    ...startOptions,
    flags: {
      ...startOptions.flags,
      ...{ info: "i", verify: "v", extract: "x", keep: "k", quiet: "q", help: "h" },
    },
  });
  if (options.flag("quiet")) terminal.level = "error";
  // What a bundle left whose watcher was killed, too.
  const place = folder.slice(0, folder.lastIndexOf("/")) || "/";
  tidyStaging(place, `enroot-bundle.${Deno.uid()}.`);
  if (options.flag("help")) {
    print(`Usage: ${nameOf(bundle)} ${bundleUsage}`);
    return 0;
  }
  if (options.flag("info")) {
    print(infoOf(description));
    return 0;
  }
  if (options.flag("verify")) return await verify(context);
  writeConfiguration(`${folder}/configuration`, description.configuration);
  const settled = { ...context, environment: { ...context.environment, ...ownFolders(bundle) } };
  if (options.flag("extract")) {
    const [target = targetOf(bundle), ...more] = options.operands;
    if (more.length > 0) throw new UsageError(`--extract takes one folder: '${more[0]}'`);
    const root = absolute(target);
    await extract(settled, bundle, root);
    closeToOthers(root);
    return 0;
  }
  const root = options.flag("keep") ? absolute(targetOf(bundle)) : `${folder}/rootfs`;
  await extract(settled, bundle, root);
  if (options.flag("keep")) closeToOthers(root);
  return await startBundle(settled, bundle, root, options);
}

async function startBundle(
  context: Context,
  bundle: Bundle,
  root: string,
  options: ParsedOptions,
): Promise<never> {
  const { folder, descriptor, watcher } = bundle;
  close(descriptor);
  const conf = options.value("conf");
  const script = conf === undefined ? undefined : readScript(conf);
  const settings = script === undefined ? {} : await settingsOf(script, context.environment);
  Deno.mkdirSync(`${folder}/run`, { mode: 0o700 });
  const config = await configOf({
    ...context,
    environment: { ...context.environment, ...settings, ...ownFolders(bundle) },
  });
  const call = { words: options.operands, options, ...(script === undefined ? {} : { script }) };
  return await startRoot(config, call, { path: root, watcher });
}

/** Nothing of the host's configuration, and no folder that would stay. */
function ownFolders({ folder }: Bundle): Record<string, string> {
  return {
    ENROOT_SYSCONF_PATH: `${folder}/configuration/system`,
    ENROOT_CONFIG_PATH: `${folder}/configuration/user`,
    ENROOT_RUNTIME_PATH: `${folder}/run`,
    ENROOT_DATA_PATH: folder,
    ENROOT_CACHE_PATH: folder,
  };
}

/** What stays may have set-id programs in it, which would be the user's, or root's, for everybody. */
function closeToOthers(root: string): void {
  Deno.chmodSync(root, 0o700);
}

/** Unpack the root filesystem into a folder that is made; on failure it is gone again. */
async function extract(
  context: Context,
  { path, descriptor, description: { image, rootfs } }: Bundle,
  root: string,
): Promise<void> {
  const { terminal } = context;
  const { data } = await readPayload(`/proc/self/fd/${descriptor}`);
  if (data === undefined) throw new EnrootError("bad-payload", `${path} has no image in it`);
  const config = await configOf(context);
  await withTermination(async (signal) => {
    using undo = new DisposableStack();
    makeFolder(root);
    undo.defer(() => removeTree(root));
    terminal.log("info", `Extracting ${image}`);
    await using pool = makePool(context, config);
    let done = 0;
    const summary = await pool.applyLayer({
      kind: "apply-layer",
      root,
      name: `the image in ${path}`,
      file: { path: `/proc/self/fd/${descriptor}`, ...data },
      compression: "zstd",
      digest: rootfs.digest,
      diffId: rootfs.diffId,
      ownership: "caller",
      limits: {},
    }, {
      signal,
      onProgress: (bytes) => terminal.progress("Extracting", done += bytes, data.size),
    });
    terminal.finish();
    for (const warning of leftOut(summary)) terminal.log("warning", warning);
    signal.throwIfAborted();
    undo.move();
  });
}

function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new EnrootError("exists", `${path} exists already: remove it or choose another folder`);
    }
    throw new EnrootError("cannot-write", `cannot make ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** What a start needs of this machine. */
async function verify({ print }: Context): Promise<number> {
  const findings = [checkKernel(false), await checkUserNamespaces()];
  print(findings.map(line).join(""));
  return findings.every(({ status }) => status !== "fail") ? 0 : 1;
}

function infoOf(description: Description): string {
  const { image, text, created, architecture, version, rootfs, target, isChecked } = description;
  const users = description.configuration.filter(({ owner }) => owner === "user").length;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["Image", image],
    ["Description", text],
    ["Created", created],
    ["Architecture", architecture],
    ["Root filesystem", `${formatBytes(rootfs.tarSize)}, ${formatBytes(rootfs.size)} compressed`],
    ["Digest", rootfs.digest],
    ["Target", target],
    ["Checksum", isChecked ? "yes" : "no"],
    ["User's files", users === 0 ? undefined : String(users)],
    ["Made by", `enroot ${version}`],
  ];
  return lines.flatMap(([name, value]) => {
    // It came with a file from anywhere, and a terminal may obey it.
    const safe = value?.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
    return safe === undefined ? [] : [`${`${name}:`.padEnd(17)}${safe}\n`];
  }).join("");
}

function nameOf({ path }: Bundle): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Where `--keep` puts the root filesystem: below the current folder, when it says no place. */
function targetOf(bundle: Bundle): string {
  const name = nameOf(bundle);
  const plain = name.endsWith(".run") ? name.slice(0, -".run".length) : `${name}.rootfs`;
  return bundle.description.target ?? plain;
}
