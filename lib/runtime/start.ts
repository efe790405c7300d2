/**
 * The first stage of a start, outside the namespaces: it decides everything, and becomes the second.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { must, writeAll } from "../sys/at.ts";
import { createMemoryFile, execve, keepOnExec } from "../sys/exec.ts";
import type { Hook, Plan, TextFile } from "./plan.ts";

/** What is to be started, and by what means. */
export interface StartRequest {
  readonly plan: Plan;
  /** Which further namespaces the container gets: `net`, `ipc`, `uts`, `pid`. */
  readonly unshare: readonly string[];
  /** Whether it gets a user namespace; without one the caller is root and stays it. */
  readonly userNamespace: boolean;
  /** Where `enroot-nsenter` is. */
  readonly helper: string;
  /** The arguments that start this program's second stage; the plan's descriptor is added. */
  readonly secondStage: readonly string[];
  /** What serves the file system of an image; the second stage is given its mount after the plan. */
  readonly server?: Server;
  /** What is run when nothing is left of the container: by a watcher, outside. */
  readonly atEnd?: AtEnd;
  /** A descriptor of a watcher that is there already, and is to know of the container's namespace. */
  readonly watcher?: number;
  /** The environment of this process, as it is: what the launcher hid stays hidden. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A program that mounts a file system and serves it, in namespaces around the container's. */
export interface Server {
  /** The program, absolute, and its arguments. */
  readonly argv: readonly string[];
  /** Where it mounts: an existing folder, absolute. */
  readonly place: string;
  /** Descriptors that it needs. */
  readonly hold: readonly number[];
}

/** What a watcher runs when a container has ended, however it has. */
export interface AtEnd {
  /** The program, absolute, and its arguments. */
  readonly argv: readonly string[];
  /** Descriptors that stay open until then, and are not the container's: locks. */
  readonly hold: readonly number[];
}

/**
 * Start: this process becomes the container's command, with its PID.
 *
 * @throws {EnrootError} when it cannot; otherwise it never returns
 */
export function start(request: StartRequest): never {
  const { plan, unshare, helper, secondStage, environment } = request;
  const descriptor = createMemoryFile("enroot-plan");
  const bytes = new TextEncoder().encode(JSON.stringify(plan));
  must(writeAll(descriptor, bytes), "write", "the plan of the start");
  const { server, atEnd } = request;
  const served = server === undefined ? undefined : wordsFile("enroot-serve", server);
  const watched = atEnd === undefined ? undefined : wordsFile("enroot-at-end", atEnd);
  const argv = [
    ...[helper, "--mount", ...unshare.map((kind) => `--${kind}`)],
    ...(request.userNamespace ? ["--user"] : []),
    ...(plan.remapRoot ? ["--remap-root"] : []),
    ...(watched === undefined ? [] : ["--at-end", ...watched]),
    ...(request.watcher === undefined ? [] : ["--watcher", String(request.watcher)]),
    ...(served === undefined ? [] : ["--serve", ...served, "--on", server?.place ?? ""]),
    // In the place of the program's words there is its mount then.
    ...["--", ...secondStage, String(descriptor), ...(served ?? []).slice(0, 1)],
  ];
  execve(helper, argv, environment);
}

/** A program as the helper takes it: the number of a file with its words, and what it holds. */
function wordsFile(name: string, { argv, hold }: AtEnd | Server): string[] {
  const file = createMemoryFile(name);
  const words = argv.map((word) => `${word}\0`).join("");
  must(writeAll(file, new TextEncoder().encode(words)), "write", `the words of ${argv[0]}`);
  for (const descriptor of hold) keepOnExec(descriptor);
  return [String(file), ...hold.flatMap((each) => ["--hold", String(each)])];
}

/**
 * The configuration files of a start: those of each folder that end so, by name; a file in a later
 * folder takes the place of one with its name in an earlier.
 *
 * @param folders in the order of rank, lowest first; those that are not there are passed over
 * @param ending for example `.fstab`
 * @throws {EnrootError} when one cannot be read
 */
export function readConfigFiles(folders: readonly string[], ending: string): TextFile[] {
  return configPaths(folders, ending).map((path) => ({ path, text: readText(path) }));
}

/**
 * The hooks of a start, found as {@linkcode readConfigFiles} finds files; those that cannot be executed are
 * left out. So a user does without one of the system's by a file of its name that cannot be.
 *
 * @param needsShell whether nothing can be executed in a folder: the shell runs what lies there
 */
export function findHooks(
  folders: readonly string[],
  needsShell: (folder: string) => boolean,
): Hook[] {
  return configPaths(folders, ".sh").filter(isExecutable).map((path) => ({
    path,
    argv: needsShell(path.slice(0, path.lastIndexOf("/"))) ? ["/bin/bash", path] : [path],
  }));
}

/** By name, a later folder's over an earlier's. */
function configPaths(folders: readonly string[], ending: string): string[] {
  const paths = new Map<string, string>();
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      if (name.endsWith(ending)) paths.set(name, `${folder}/${name}`);
    }
  }
  return [...paths].sort(([a], [b]) => a < b ? -1 : 1).map(([, path]) => path);
}

function isExecutable(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch (error) {
    // A link that leads nowhere turns a hook off too.
    if (error instanceof Deno.errors.NotFound) return false;
    throw new EnrootError("cannot-read", `cannot look at ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** A file's text. @throws {EnrootError} code `cannot-read`, naming it */
export function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new EnrootError("cannot-read", `cannot read ${folder}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
