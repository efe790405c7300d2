/**
 * The snapshots that containers are sent from. Whoever sends one holds the lock `.locks/s-<name>`, with
 * which the container's dataset is noted: where the lock is there and nobody holds it, the sender was killed,
 * or the transfer was cut.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import {
  childOf,
  type DatasetName,
  datasetOf,
  lastComponent,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import { type KeyLock, tryLockKey } from "./key_lock.ts";
import type { Layout } from "./layout.ts";

/** How long the snapshot of a transfer that was cut is kept, in seconds. */
export const keptFor = 24 * 60 * 60;

/** What they are called: those of a file go at once when its writer is killed. */
export const prefixes = { transfer: "enroot-send-", file: "enroot-file-" } as const;

const lockPrefix = "s-";
const lockPattern = /^s-((enroot-(?:send|file)-)[0-9a-f-]{36})$/;

/** A name for a snapshot of a container, and its lock. @throws {EnrootError} code `cannot-write` */
export function newSnapshotName(
  layout: Layout,
  container: DatasetName,
  purpose: keyof typeof prefixes,
): { readonly name: SnapshotName; readonly lock: KeyLock } {
  for (;;) {
    const name = `${prefixes[purpose]}${crypto.randomUUID()}`;
    const lock = tryLockKey(layout.locks, `${lockPrefix}${name}`, lastComponent(container));
    // Between making and locking it somebody may have taken it for abandoned.
    if (lock !== undefined) return { name: snapshotOf(container, name), lock };
  }
}

/**
 * Take the lock of one that is there, to go on with it. Another process may be sending it: then there is none.
 *
 * @throws {EnrootError} code `cannot-write`
 */
export function tryTakeSent(layout: Layout, snapshot: SnapshotName): KeyLock | undefined {
  const name = snapshot.slice(snapshot.indexOf("@") + 1);
  return tryLockKey(layout.locks, `${lockPrefix}${name}`, lastComponent(datasetOf(snapshot)));
}

/** What they are looked after with. */
export interface SentOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

/**
 * Destroy those that nobody sends any more, and could go on with. What goes wrong is a warning.
 *
 * @param store the store's dataset
 */
export async function tidySent(
  { zfs, layout, warn }: SentOptions,
  store: DatasetName,
): Promise<void> {
  const { locks } = layout;
  for (const file of locks.names()) {
    const [, name, prefix] = lockPattern.exec(file) ?? [];
    if (name === undefined) continue;
    using lock = tryLockKey(locks, file);
    const container = lock?.note;
    // Nothing was made by one that was killed before it could note of what.
    if (lock === undefined || container === undefined) continue;
    try {
      const snapshot = snapshotOf(childOf(store, container), name);
      if (prefix === prefixes.transfer && await isYoung(zfs, snapshot)) lock.leave();
      else await zfs.destroy(snapshot, { tries: 1 });
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "not-found") continue;
      lock.leave();
      warn(`cannot remove a snapshot that a killed process left: ${reasonOf(error)}`);
    }
  }
}

async function isYoung(zfs: Zfs, snapshot: SnapshotName): Promise<boolean> {
  const [row] = await zfs.list([snapshot], { columns: ["creation"] });
  return row !== undefined && Date.now() / 1000 - Number(row.creation) < keptFor;
}
