/**
 * Who keeps a dataset from being unmounted or destroyed.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { parseMountinfo } from "../../sys/mountinfo.ts";
import { type Mounter, pathOf, type Place } from "./mounter.ts";

/** How many are named. */
const most = 3;

/** What a process may have in a file system, as links in its folder of `/proc`. */
const places = ["cwd", "root", "exe"];

/**
 * The processes that use a dataset, for people: those that have it mounted in a namespace of their own, and
 * those that work in it where it is mounted here. Of other users' processes nothing can be seen.
 *
 * @param dataset as it is called now
 * @param path where it belongs
 * @returns for example `process 4711 (sleep)`
 */
export function holdersOf(dataset: string, path: string): string {
  const found: string[] = [];
  const own = tryRead("/proc/self/ns/mnt", Deno.readLinkSync);
  for (const pid of processes()) {
    const folder = `/proc/${pid}`;
    const namespace = tryRead(`${folder}/ns/mnt`, Deno.readLinkSync);
    if (namespace === undefined) continue;
    const holds = namespace === own
      ? places.some((name) => isBelow(tryRead(`${folder}/${name}`, Deno.readLinkSync), path))
      : hasMounted(tryRead(`${folder}/mountinfo`, Deno.readTextFileSync), dataset);
    if (holds) found.push(`${pid} (${tryRead(`${folder}/comm`, Deno.readTextFileSync)?.trim()})`);
  }
  if (found.length === 0) return "a process that cannot be seen from here";
  const more = found.length - most;
  return `process ${found.slice(0, most).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function* processes(): Generator<string> {
  for (const { name } of Deno.readDirSync("/proc")) if (/^\d+$/.test(name)) yield name;
}

function hasMounted(mountinfo: string | undefined, dataset: string): boolean {
  // Most processes have nothing of it: their files are not taken apart.
  if (mountinfo === undefined || !mountinfo.includes(" - zfs ")) return false;
  return parseMountinfo(mountinfo).some(({ type, source }) => type === "zfs" && source === dataset);
}

function isBelow(target: string | undefined, path: string): boolean {
  return target === path || target?.startsWith(`${path}/`) === true;
}

/** A process may end while it is looked at, and others' are closed. */
function tryRead(path: string, read: (path: string) => string): string | undefined {
  try {
    return read(path);
  } catch {
    return undefined;
  }
}

/** Whether something could not be unmounted because of who uses it. */
export function isBusy(error: unknown): boolean {
  // The helper's words, and strerror(3) of EBUSY.
  return /in use by a process|resource busy/.test(reasonOf(error));
}

/**
 * Unmount a container.
 *
 * @throws {EnrootError} code `in-use`, naming who uses it; what unmounting throws
 */
export async function unmountOrNameHolders(mounter: Mounter, place: Place): Promise<void> {
  try {
    await mounter.unmount(place);
  } catch (error) {
    if (!isBusy(error)) throw error;
    const holders = holdersOf(place.dataset, pathOf(place));
    throw new EnrootError(
      "in-use",
      `cannot unmount ${pathOf(place)}, which is in use by ${holders}: end it, and try again`,
      { cause: error },
    );
  }
}
