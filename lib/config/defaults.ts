/**
 * Defaults that depend on the user and the machine.
 *
 * @module
 */

import { run } from "../process/run.ts";
import type { Defaults } from "./keys.ts";
import { tidyPath } from "./values.ts";

/** Whom and what defaults are for. */
export interface DefaultsFor {
  readonly environment: Readonly<Record<string, string>>;
  readonly uid: number;
  /** `ENROOT_TEMP_PATH`, when it is set. */
  readonly tempPath: string | undefined;
  /** `ENROOT_RUNTIME_PATH`, when it is set. */
  readonly runtimePath: string | undefined;
}

/** Where the folders of the XDG base directories are in a user's home. */
const inHome = {
  XDG_CONFIG_HOME: ".config",
  XDG_CACHE_HOME: ".cache",
  XDG_DATA_HOME: ".local/share",
} as const;

/** The variables that name a user's folders: each means something also where it is not set. */
export const folderVariables = [
  "HOME",
  "XDG_CONFIG_HOME",
  "XDG_CACHE_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
] as const;

/** One of them. */
export type FolderVariable = (typeof folderVariables)[number];

/**
 * The folder that a variable names; `undefined` when it holds no absolute path, and for a runtime folder
 * that is not there: a job of a batch system has the variable of the host it came from.
 */
export function folderIn(
  environment: Readonly<Record<string, string>>,
  name: string,
): string | undefined {
  const path = environment[name];
  if (path === undefined || !path.startsWith("/")) return undefined;
  return name !== "XDG_RUNTIME_DIR" || isFolder(path) ? path : undefined;
}

/**
 * What a variable means that names no folder; `undefined` for `HOME` when the user database has none either.
 *
 * @param of whose; a user without a home has the paths in it, as far as they are known already
 */
export async function standInFor(
  name: FolderVariable,
  of: DefaultsFor,
): Promise<string | undefined> {
  if (name === "XDG_RUNTIME_DIR") return "/run";
  const home = folderIn(of.environment, "HOME") ?? await homeOf(of.uid);
  if (name === "HOME") return home;
  return home === undefined ? withoutHome(runtimePathOf(of), name) : `${home}/${inHome[name]}`;
}

/**
 * The defaults for a user. Folders are computed, not made.
 *
 * Variables that should name a folder and do not ({@linkcode folderIn}) count as unset.
 */
export async function defaultsOf(of: DefaultsFor): Promise<Defaults> {
  const { environment, uid } = of;
  const temp = tempPathOf(of);
  const runtimePath = runtimePathOf(of);
  const needsHome = folderVariables
    .some((name) => name in inHome && folderIn(environment, name) === undefined);
  const home = needsHome ? folderIn(environment, "HOME") ?? await homeOf(uid) : undefined;
  const under = (name: keyof typeof inHome): string => {
    const base = folderIn(environment, name);
    if (base !== undefined) return tidyPath(`${base}/enroot`);
    if (home !== undefined) return tidyPath(`${home}/${inHome[name]}/enroot`);
    return tidyPath(withoutHome(runtimePath, name));
  };
  return {
    runtimePath: tidyPath(runtimePath),
    configPath: under("XDG_CONFIG_HOME"),
    cachePath: under("XDG_CACHE_HOME"),
    dataPath: under("XDG_DATA_HOME"),
    tempPath: tidyPath(temp),
    processors: navigator.hardwareConcurrency,
  };
}

function tempPathOf({ environment, tempPath }: DefaultsFor): string {
  return tempPath ?? folderIn(environment, "TMPDIR") ?? "/tmp";
}

function runtimePathOf(of: DefaultsFor): string {
  if (of.runtimePath !== undefined) return of.runtimePath;
  const xdg = folderIn(of.environment, "XDG_RUNTIME_DIR");
  if (xdg !== undefined) return `${xdg}/enroot`;
  return canHave("/run", "enroot", of.uid) ? "/run/enroot" : `${tempPathOf(of)}/enroot-${of.uid}`;
}

/** Without a home the runtime path has to do: it is the one folder that is always the user's own. */
function withoutHome(runtimePath: string, name: keyof typeof inHome): string {
  return `${runtimePath}/${inHome[name].split("/").at(-1)}`;
}

/** Whether a user owns a folder, or could make it. */
function canHave(parent: string, name: string, uid: number): boolean {
  try {
    return Deno.lstatSync(`${parent}/${name}`).uid === uid;
  } catch {
    return mayWrite(parent, uid);
  }
}

function mayWrite(folder: string, uid: number): boolean {
  try {
    const { uid: owner, mode } = Deno.statSync(folder);
    return uid === 0 || owner === uid && ((mode ?? 0) & 0o200) !== 0;
  } catch {
    return false;
  }
}

/** The home folder of the user database; `undefined` when there is none that is a folder. */
async function homeOf(uid: number): Promise<string | undefined> {
  const line = passwdLine(readPasswd(), uid) ?? await getent(uid);
  const home = line?.split(":")[5];
  if (home === undefined || home === "/" || !home.startsWith("/")) return undefined;
  return isFolder(home) ? home : undefined;
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function readPasswd(): string {
  try {
    return Deno.readTextFileSync("/etc/passwd");
  } catch {
    // A system may keep its users elsewhere only.
    return "";
  }
}

/** Users that are in a directory service only are known to getent(1). */
async function getent(uid: number): Promise<string | undefined> {
  try {
    return passwdLine(
      await run(["getent", "passwd", String(uid)], { signal: AbortSignal.timeout(10_000) }),
      uid,
    );
  } catch {
    return undefined;
  }
}

function passwdLine(text: string, uid: number): string | undefined {
  return text.split("\n").find((line) => line.split(":")[2] === String(uid));
}
