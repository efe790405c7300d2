/**
 * What a container with a process namespace of its own sees in `/proc`.
 *
 * @module
 */

import { MS } from "../sys/mount.ts";
import type { MountEntry } from "./fstab.ts";

/**
 * The mounts of such a container: where the host's `/proc` would be mounted on its own, there is one that
 * the kernel makes for the namespace; when nothing is mounted there, that comes first.
 */
export function withOwnProcesses<E extends MountEntry>(entries: readonly E[], usual: E): E[] {
  const isProc = (entry: MountEntry): boolean =>
    entry.source === "/proc" && /^\/+proc\/*$/.test(entry.target) && (entry.flags & MS.BIND) !== 0;
  if (!entries.some(isProc)) return [usual, ...entries];
  return entries.map((entry) => isProc(entry) ? { ...usual, pass: entry.pass } : entry);
}

/** The mount of the process table, as the second stage makes it. */
export const processTable = {
  source: "proc",
  target: "/proc",
  type: "proc",
  flags: MS.NOSUID | MS.NODEV | MS.NOEXEC,
  cleared: 0,
  propagation: [],
  data: "",
  create: "dir",
  pass: -1,
  move: false,
  detach: false,
  nofail: false,
  silent: false,
  place: "--pid",
} as const satisfies MountEntry;
