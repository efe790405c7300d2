/**
 * Where the program's own parts are: workers, helpers, default configuration, and itself.
 *
 * Three forms: run from source (`deno task`), bundled behind the launcher (a folder with `main.js`,
 * `workers/`, `libexec/` and `etc/`), or compiled by `deno compile` behind the launcher (the folder
 * with `libexec/` and `etc/` lies beside the binary).
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { callerState } from "./caller.ts";
import { parentOf, whyNotTrusted } from "./trusted_path.ts";

/** How the program was put together. */
export type ExecutableForm = "source" | "bundle" | "compiled";

const isSource = import.meta.url.endsWith("/lib/process/assets.ts");

/** How this program was put together. */
export function executableForm(): ExecutableForm {
  // Compiled code keeps its source names, inside a file system of its own.
  if (Deno.build.standalone) return "compiled";
  return isSource ? "source" : "bundle";
}

/** Where a worker's module is. @param name as in `workers/`, without ending */
export function workerUrl(name: string): URL {
  return isSource
    ? new URL(`../../workers/${name}.ts`, import.meta.url)
    : new URL(`workers/${name}.js`, import.meta.url);
}

/**
 * The arguments that start this very program again, for its second stage: the runtime directly,
 * without the launcher, so that what the launcher hid stays hidden.
 */
export function selfCommand(): readonly string[] {
  switch (executableForm()) {
    case "compiled":
      return [runtimeProgram()];
    case "bundle":
      return [...runtimeCommand(), ...runtimeFlags, pathOf("main.js")];
    case "source":
      return [Deno.execPath(), "run", "-A", "--no-prompt", pathOf("../../main.ts")];
  }
}

/**
 * The arguments that start the second stage of a start: a program of its own where there are separate
 * scripts, and otherwise commands of this one.
 */
export function secondStageCommand(): readonly string[] {
  const command = selfCommand();
  if (executableForm() === "compiled") return command;
  const script = isSource ? "../commands/second_stage.ts" : secondStageScript;
  return [...command.slice(0, -1), pathOf(script)];
}

/** What the bundled second stage is called. */
export const secondStageScript = "second_stage.js";

/** The flags that the launcher gives the runtime before the bundled script. */
export const runtimeFlags: readonly string[] = [
  ...["run", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only"],
  ...["--no-prompt", "--allow-all"],
];

/** The runtime's name in the folder that it is unpacked to: what `ps` shows. */
export const runtimeName = "enroot";

/** Where a bundle has the dynamic loader, beside the libraries, in the folder with the runtime. */
export const loaderName = "libc/loader";

/** The words by which a loader runs the runtime with libraries of its own. */
export function loaderCommand(folder: string): readonly string[] {
  const loader = `${folder}/${loaderName}`;
  // Nothing that the host's own loader has noted where to find, either.
  const options = ["--inhibit-cache", "--library-path", parentOf(loader)];
  return [loader, ...options, `${folder}/${runtimeName}`];
}

/** The C programs that come with the program. */
export type HelperName = "enroot-bundle" | "enroot-nsenter" | "enroot-zfs-mount";

/**
 * Where a C helper is. One installed beside the executable, or in a `libexec/enroot` folder next to
 * its own, wins over the one that came inside it, if nobody but root and the caller could have put it
 * there: the executable may lie in a folder that everybody writes to.
 *
 * `enroot-zfs-mount` is of use only with a capability, and only root can give it one: the one inside
 * the executable, unpacked for whoever calls, does not count.
 *
 * @throws {EnrootError} code `helper-missing`, with what to do
 */
export function helperPath(name: HelperName): string {
  const { executable } = callerState();
  const folder = executable === undefined ? undefined : parentOf(executable);
  const installed = folder === undefined
    ? []
    : [`${folder}/${name}`, `${parentOf(folder)}/libexec/enroot/${name}`];
  const looked: string[] = [];
  for (const path of installed) {
    if (!isProgram(path)) {
      looked.push(path);
      continue;
    }
    const why = whyNotTrusted(path);
    if (why === undefined) return path;
    looked.push(`${path}, not used because ${why}`);
  }
  if (name === "enroot-zfs-mount") throw mountHelperMissing(installed, looked);
  const own = builtIn(name);
  if (isProgram(own)) return own;
  throw new EnrootError(
    "helper-missing",
    `the helper ${name} is missing (looked for: ${[...looked, own].join("; ")}): ` +
      (executableForm() === "source" ? "build it with `deno task helper`" : "install it again"),
  );
}

/** The helper that came with this program: inside the executable, or built in the checkout. */
export function builtIn(name: HelperName): string {
  return executableForm() === "source"
    ? pathOf(`../../helper/build/${name}`)
    : inMemory(`libexec/${name}`) ?? `${payload()}/libexec/${name}`;
}

function mountHelperMissing(
  installed: readonly string[],
  looked: readonly string[],
): EnrootError {
  const [place = "/usr/local/bin/enroot-zfs-mount"] = installed;
  return new EnrootError(
    "helper-missing",
    "a plain user cannot mount ZFS datasets without the helper enroot-zfs-mount, which is not " +
      `installed (looked for: ${looked.join("; ")}): as root, run 'enroot install-helper ` +
      `${place.slice(0, place.lastIndexOf("/"))}'`,
  );
}

/** The folder with the default `mounts.d`, `environ.d` and `hooks.d`. */
export function defaultsPath(): string {
  return executableForm() === "source" ? pathOf("../../packaging/etc") : `${payload()}/etc`;
}

/** The folder with what hooks may source: `common.sh`. */
export function libraryPath(): string {
  return executableForm() === "source" ? pathOf("../../packaging/lib") : `${payload()}/lib`;
}

/** The program that is the runtime: for the kernel that of a bundle is the loader, which has loaded it. */
export function runtimeProgram(): string {
  return inMemory(runtimeName) ?? Deno.execPath();
}

function runtimeCommand(): readonly string[] {
  const program = runtimeProgram();
  const isLoader = program.endsWith(`/${loaderName}`);
  return isLoader ? loaderCommand(program.slice(0, -loaderName.length - 1)) : [program];
}

/** A program that cannot be executed where it was unpacked to, by its descriptor. */
function inMemory(name: string): string | undefined {
  const descriptor = callerState().programs.get(name);
  return descriptor === undefined ? undefined : `/proc/self/fd/${descriptor}`;
}

/** The folder that the executable was unpacked to. */
export function payload(): string {
  if (executableForm() === "bundle") return pathOf(".").replace(/\/$/, "");
  // The launcher made it the runtime's home, whose own program may be in memory only.
  const home = callerState().executable === undefined ? undefined : Deno.env.get("HOME");
  return home ?? Deno.execPath().slice(0, Deno.execPath().lastIndexOf("/"));
}

function pathOf(relative: string): string {
  return decodeURIComponent(new URL(relative, import.meta.url).pathname);
}

function isProgram(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    return false;
  }
}
