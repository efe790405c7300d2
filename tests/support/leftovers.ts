/**
 * What a start may leave behind: processes, mounts, files.
 *
 * @module
 */

import { parseMountinfo } from "../../lib/sys/mountinfo.ts";
import type { Bed } from "./bed.ts";

/** A process that belongs to a bed. */
export interface BedProcess {
  readonly pid: number;
  readonly comm: string;
}

/**
 * The processes that have something to do with a bed: its path is in their arguments or their environment.
 * A container's have it there when `-e` put it there; see {@linkcode marked}.
 */
export function processesOf({ home }: Bed): BedProcess[] {
  const mark = markOf(home);
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const read = (file: string): string => Deno.readTextFileSync(`/proc/${name}/${file}`);
      if (!`${read("cmdline")}\0${read("environ")}`.includes(mark)) return [];
      // What has ended and waits for its parent is no longer there.
      if (/^State:\tZ/m.test(read("status"))) return [];
      return [{ pid: Number(name), comm: read("comm").trim() }];
    } catch {
      return [];
    }
  });
}

/** The options of a start whose container {@linkcode processesOf} finds. */
export function marked({ home }: Bed): readonly string[] {
  return ["-e", `BED=${markOf(home)}`];
}

/** All that is there: processes, mounts that this process sees, files in the runtime and temporary folders. */
export function leftovers(bed: Bed): string[] {
  const mark = markOf(bed.home);
  const mounts = parseMountinfo(Deno.readTextFileSync("/proc/self/mountinfo"));
  return [
    ...processesOf(bed).map(({ pid, comm }) => `process ${pid} (${comm})`),
    ...mounts.filter(({ mountPoint }) => mountPoint.startsWith(mark))
      .map(({ mountPoint }) => `mount ${mountPoint}`),
    ...filesIn(bed.runtime, "enroot").map((path) => `file ${path}`),
    ...filesIn(bed.temp).map((path) => `file ${path}`),
  ];
}

/** Wait until nothing is left. @throws {Error} after ten seconds, with what is */
export async function nothingLeft(bed: Bed): Promise<void> {
  let left: readonly string[] = [];
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    left = leftovers(bed);
    if (left.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`after ten seconds there is still ${left.join(", ")}`);
}

/** The bed's folder: its name is in no other path. */
function markOf(home: string): string {
  return home.slice(0, home.lastIndexOf("/"));
}

function filesIn(folder: string, but?: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
    // The runtime folder itself stays; what is in it does not.
    if (name === but) return filesIn(`${folder}/${name}`);
    return [`${folder}/${name}`];
  });
}
