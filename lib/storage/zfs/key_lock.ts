/**
 * Locks by name: one holder at a time, over all processes of the host.
 *
 * A lock is `flock` on a file, so it dies with its holder, whatever kills it and in whatever PID
 * namespace it lives. The file says who holds it, for people, and is removed by its holder: a file
 * that nobody holds was left by a killed process.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { readStart, type StoreFolder } from "./store_folder.ts";
import { isNoSpace } from "./no_space.ts";

/** A lock that is held. Disposing of it lets go and removes the file. */
export interface KeyLock extends Disposable {
  /** The line that is kept with it, by whoever had it first. */
  readonly note: string | undefined;
  /** Let go, and leave the file: what it stands for is unfinished, and for a later command. */
  leave(): void;
}

/** How a lock is asked for. */
export interface LockOptions {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Told once, when there is a wait, for whom. */
  readonly onWait?: ((holder: string) => void) | undefined;
}

/** How often a held lock is tried, in milliseconds. */
const pause = 100;

/**
 * Take the lock of this name, waiting for its holder.
 *
 * The wait ends with the holder's work, its death, or the signal.
 *
 * @param folder is there
 * @param name a file name
 * @throws {EnrootError} code `cannot-write` when there can be no lock; the signal's reason
 */
export async function lockKey(
  folder: StoreFolder,
  name: string,
  { signal, onWait }: LockOptions,
): Promise<KeyLock> {
  for (let tries = 0;; tries++) {
    signal.throwIfAborted();
    const lock = tryLockKey(folder, name);
    if (lock !== undefined) return lock;
    // A tidying process holds it for a moment only.
    if (tries === 1) onWait?.(holderOf(folder, name));
    await sleep(pause, signal);
  }
}

/**
 * Take the lock of this name if nobody holds it, else `undefined`.
 *
 * @param note a line that is kept with it, for whoever finds it abandoned. One that is there stays
 * @throws as {@linkcode lockKey}; where there is no room for a note there is no lock
 */
export function tryLockKey(
  folder: StoreFolder,
  name: string,
  note?: string,
): KeyLock | undefined {
  try {
    for (;;) {
      const file = folder.open(name, { create: true });
      if (file === undefined) throw new Error("its folder is gone");
      using undo = new DisposableStack();
      undo.use(file);
      if (!file.tryLockSync(true)) return undefined;
      // The holder before may have removed the file between our opening and our lock.
      if (!folder.isNamed(file, name)) continue;
      const kept = noteIn(readStart(file)) ?? note;
      if (kept === undefined || kept === note) write(file, note);
      const held = undo.move();
      return {
        note: kept,
        leave: () => held.dispose(),
        [Symbol.dispose]() {
          if (held.disposed) return;
          try {
            folder.remove(name);
          } finally {
            held.dispose();
          }
        },
      };
    }
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot lock ${folder.describe(name)}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * As {@linkcode tryLockKey}, for those who make room: where there is none for a new lock nobody holds it, and
 * whoever needs it has to wait for room.
 *
 * @throws {EnrootError} code `cannot-write`, for other reasons
 */
export function tryLockWithoutRoom(folder: StoreFolder, name: string): KeyLock | undefined {
  try {
    return tryLockKey(folder, name);
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    return { note: undefined, leave() {}, [Symbol.dispose]() {} };
  }
}

function noteIn(text: string): string | undefined {
  return text.split("\n")[1] || undefined;
}

function write(file: Deno.FsFile, note: string | undefined): void {
  const lines = [String(Deno.pid), ...note === undefined ? [] : [note]];
  try {
    file.truncateSync();
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(`${lines.join("\n")}\n`));
  } catch (error) {
    // Without a note it is a lock all the same, and may be what the one needs who makes room.
    if (note !== undefined || !isNoSpace(error)) throw error;
  }
}

function holderOf(folder: StoreFolder, name: string): string {
  try {
    const pid = Number.parseInt(folder.read(name) ?? "");
    const command = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
    return `process ${pid} (${command.slice(-3).join(" ")})`;
  } catch {
    return "another process";
  }
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const abort = (): void => resolve();
  signal.addEventListener("abort", abort, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
}
