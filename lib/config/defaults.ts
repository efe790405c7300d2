/**
 * Defaults that depend on the user and the machine.
 *
 * @module
 */

import { run } from "../process/run.ts";
import type { Defaults } from "./keys.ts";

/**
 * The defaults for the caller. Folders are computed, not made.
 *
 * @param tempPath `ENROOT_TEMP_PATH`, when it is set
 */
export async function defaultsOf(
  environment: Readonly<Record<string, string>>,
  tempPath: string | undefined,
): Promise<Defaults> {
  const temp = tempPath || environment["TMPDIR"] || "/tmp";
  const runtimePath = runtimePathOf(environment, temp);
  const needsHome = ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"]
    .some((name) => !environment[name]);
  const home = needsHome ? environment["HOME"] || await homeOf(Deno.uid() ?? 0) : undefined;
  // Without a home the runtime path has to do: it is the one folder that is always the user's own.
  const under = (variable: string, folder: string): string =>
    environment[variable]
      ? `${environment[variable]}/enroot`
      : home === undefined
      ? `${runtimePath}/${folder.split("/").at(-1)}`
      : `${home}/${folder}/enroot`;
  return {
    runtimePath,
    configPath: under("XDG_CONFIG_HOME", ".config"),
    cachePath: under("XDG_CACHE_HOME", ".cache"),
    dataPath: under("XDG_DATA_HOME", ".local/share"),
    tempPath: temp,
    processors: navigator.hardwareConcurrency,
  };
}

function runtimePathOf(environment: Readonly<Record<string, string>>, temp: string): string {
  const xdg = environment["XDG_RUNTIME_DIR"];
  if (xdg) return `${xdg}/enroot`;
  return canHave("/run", "enroot") ? "/run/enroot" : `${temp}/enroot-${Deno.uid()}`;
}

/** Whether the caller owns a folder, or could make it. */
function canHave(parent: string, name: string): boolean {
  const uid = Deno.uid();
  try {
    return Deno.lstatSync(`${parent}/${name}`).uid === uid;
  } catch {
    const { uid: owner, mode } = Deno.statSync(parent);
    return uid === 0 || owner === uid && ((mode ?? 0) & 0o200) !== 0;
  }
}

/** The home folder of the user database; `undefined` when there is none that is a folder. */
async function homeOf(uid: number): Promise<string | undefined> {
  const line = passwdLine(Deno.readTextFileSync("/etc/passwd"), uid) ?? await getent(uid);
  const home = line?.split(":")[5];
  if (home === undefined || home === "/" || !home.startsWith("/")) return undefined;
  try {
    return Deno.statSync(home).isDirectory ? home : undefined;
  } catch {
    return undefined;
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
