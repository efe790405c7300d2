/**
 * The lock under which a start prepares a container's root folder.
 *
 * What runs in a container can take it too, `.lock` being a file of its own root folder: waiting for it
 * must not be without end, nor without a word.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { flock, itself, must, statAt } from "../sys/at.ts";

/** How a lock is waited for. */
export interface LockOptions {
  /** What is locked, for messages. */
  readonly path: string;
  /** Told, once, that it takes long. */
  readonly warn: (message: string) => void;
  /** How long one process may hold it before this is a failure, in milliseconds. */
  readonly patience?: number;
  /** How long it may take before anything is said, in milliseconds. */
  readonly silence?: number;
}

const usualPatience = 120_000;
const usualSilence = 3_000;
const pause = 25;

// sys/file.h, asm-generic/errno.h
const LOCK_EX_NB = 6;
const EWOULDBLOCK = 11;

/**
 * Lock an open file. While others take turns with it the wait goes on: starts of one container on a large
 * node are many. The thread is blocked meanwhile.
 *
 * @throws {EnrootError} code `locked` when one process does not let go of it, naming it where it is known
 */
export function lockRootfsFile(file: number, options: LockOptions): void {
  const { path, warn, patience = usualPatience, silence = usualSilence } = options;
  const begun = performance.now();
  let since = begun;
  let holder: string | undefined;
  let isSaid = false;
  for (;;) {
    const result = flock(file, LOCK_EX_NB);
    if (result !== -EWOULDBLOCK) {
      must(result, "flock", path);
      return;
    }
    const now = performance.now();
    if (now - begun >= silence) {
      const current = holderOf(file);
      if (current !== holder) [holder, since] = [current, now];
      if (!isSaid) warn(`waiting for the lock ${path}, held by ${nameOf(holder)}`);
      isSaid = true;
    }
    if (now - since >= patience) {
      throw new EnrootError(
        "locked",
        `cannot start: the lock ${path} has been held for ${
          Math.round((now - since) / 1000)
        } s by ` +
          `${
            nameOf(holder)
          }, maybe of another start of this container, maybe in it: end that process`,
      );
    }
    // The second stage has one thread, and nothing else to do.
    sleep(pause);
  }
}

/** The process that holds a lock on a file: its number. Source of the format: proc_locks(5). */
function holderOf(file: number): string | undefined {
  const found = statAt(file, itself);
  if (typeof found === "number") return undefined;
  const hex = (part: bigint): string => part.toString(16).padStart(2, "0");
  const place = `${hex(found.device >> 32n)}:${hex(found.device & 0xffff_ffffn)}:${found.inode}`;
  for (const line of readLocks().split("\n")) {
    const [, kind, , , pid, where] = line.trim().split(/ +/);
    if (kind === "FLOCK" && where === place) return pid;
  }
  return undefined;
}

function readLocks(): string {
  try {
    return Deno.readTextFileSync("/proc/locks");
  } catch {
    return "";
  }
}

function nameOf(pid: string | undefined): string {
  if (pid === undefined) return "another process";
  try {
    const name = Deno.readTextFileSync(`/proc/${pid}/comm`).trimEnd();
    return `process ${pid} (${name})`;
  } catch {
    return `process ${pid}, which has ended and left it to another`;
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
