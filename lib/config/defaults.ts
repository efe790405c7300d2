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

/**
 * The defaults for a user. Folders are computed, not made.
 *
 * Variables that should hold a path and do not hold an absolute one count as unset.
 */
export async function defaultsOf(
  { environment, uid, tempPath, runtimePath: given }: DefaultsFor,
): Promise<Defaults> {
  const variable = (name: string): string | undefined => {
    const path = environment[name];
    return path?.startsWith("/") ? path : undefined;
  };
  const temp = tempPath ?? variable("TMPDIR") ?? "/tmp";
  const xdg = variable("XDG_RUNTIME_DIR");
  const runtimePath = given !== undefined
    ? given
    : xdg !== undefined
    ? `${xdg}/enroot`
    : canHave("/run", "enroot", uid)
    ? "/run/enroot"
    : `${temp}/enroot-${uid}`;
  const needsHome = ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"]
    .some((name) => variable(name) === undefined);
  const home = needsHome ? variable("HOME") ?? await homeOf(uid) : undefined;
  // Without a home the runtime path has to do: it is the one folder that is always the user's own.
  const under = (name: string, folder: string): string => {
    const base = variable(name);
    if (base !== undefined) return tidyPath(`${base}/enroot`);
    if (home !== undefined) return tidyPath(`${home}/${folder}/enroot`);
    return tidyPath(`${runtimePath}/${folder.split("/").at(-1)}`);
  };
  return {
    runtimePath: tidyPath(runtimePath),
    configPath: under("XDG_CONFIG_HOME", ".config"),
    cachePath: under("XDG_CACHE_HOME", ".cache"),
    dataPath: under("XDG_DATA_HOME", ".local/share"),
    tempPath: tidyPath(temp),
    processors: navigator.hardwareConcurrency,
  };
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
  try {
    return Deno.statSync(home).isDirectory ? home : undefined;
  } catch {
    return undefined;
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
