/**
 * `enroot internal-cdi`, which the hook of NVIDIA's GPUs calls where nvidia-container-cli is absent.
 *
 * @module
 */

import { EnrootError, reasonOf, UsageError } from "../errors.ts";
import { chooseDevices, readCdiSpecs } from "../runtime/cdi/devices.ts";
import { cdiLines, type CdiPlaces } from "../runtime/cdi/lines.ts";
import { close, O } from "../sys/at.ts";
import { existsSync } from "../sys/exists.ts";
import { Rootfs } from "../sys/rootfs.ts";
import type { Command, Context } from "./command.ts";

/** Adds the mounts and variables of CDI devices to those of the container that is being started. */
export const command: Command = {
  usage: "internal-cdi VENDOR/CLASS DEVICE[,DEVICE…]\n",
  run(context) {
    const [kind, names, ...more] = context.args;
    if (kind === undefined || names === undefined || more.length > 0) {
      throw new UsageError("'internal-cdi' is for hooks: it takes a kind and names");
    }
    const warn = (message: string): void => context.terminal.log("warning", message);
    const specs = readCdiSpecs();
    if (names === "all" && specs.specs.every((spec) => spec.kind !== kind) && !hasDriver()) {
      // Every CUDA image says all. On a machine without any GPU that is none.
      warn(`no GPU in the container: this machine has no NVIDIA driver and no CDI specification`);
      return Promise.resolve(0);
    }
    const chosen = chooseDevices(specs, kind, names);
    using rootfs = new Rootfs(variable(context, "ENROOT_ROOTFS"));
    const { mounts, environment, warnings } = cdiLines(chosen, placesOf(rootfs));
    for (const warning of warnings) warn(warning);
    append(variable(context, "ENROOT_MOUNTS"), mounts);
    append(variable(context, "ENROOT_ENVIRON"), environment);
    return Promise.resolve(0);
  },
};

function hasDriver(): boolean {
  return existsSync("/proc/driver/nvidia/version") || existsSync("/dev/nvidiactl");
}

function variable({ environment }: Context, name: string): string {
  const value = environment[name];
  if (value?.startsWith("/")) return value;
  throw new UsageError(`'internal-cdi' is for hooks: ${name} is not set`);
}

function append(path: string, lines: readonly string[]): void {
  try {
    const text = lines.map((line) => `${line}\n`).join("");
    Deno.writeTextFileSync(path, text, { append: true });
  } catch (error) {
    throw new EnrootError("cannot-write", `cannot write ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function placesOf(rootfs: Rootfs): CdiPlaces {
  return {
    exists: existsSync,
    namesOf(path) {
      const folder = path.slice(0, path.lastIndexOf("/"));
      const file = Deno.realPathSync(path);
      return [...Deno.readDirSync(folder)]
        .filter(({ isSymlink, name }) => isSymlink && realPath(`${folder}/${name}`) === file)
        .map(({ name }) => name).sort();
    },
    isFolder(path) {
      const descriptor = rootfs.open(path, O.PATH | O.DIRECTORY);
      if (descriptor >= 0) close(descriptor);
      return descriptor >= 0;
    },
  };
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}
