/**
 * What lies below `.receiving`: streams that are being received, and what came of those that were cut.
 *
 * Whoever is at work on one holds the lock `.locks/r-<key>`.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import { type DatasetName, lastComponent } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Row, Zfs } from "../../zfs/zfs.ts";
import { tryLockWithoutRoom } from "./key_lock.ts";
import type { Layout } from "./layout.ts";
import { type Mounter, removeMountPoint } from "./mounter.ts";

/** What it is worked on with. */
export interface ReceivingOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

/** Says when a stream began to be received, in seconds since the epoch. */
export const usedProperty = "enroot:last_used";

/** How long what came of a stream is kept that was cut, in seconds. */
const keptFor = 24 * 60 * 60;

/** The name of the lock of one of these. */
export function receivingLock(key: string): string {
  return `r-${key}`;
}

/** Destroy one of these, if it is there; the caller has its lock. @throws {ZfsError} */
export async function destroyReceived(
  { zfs, mounter, layout }: ReceivingOptions,
  dataset: DatasetName,
): Promise<void> {
  const place = layout.placeOf(dataset);
  try {
    await mounter.unmount(place);
    removeMountPoint(place);
    await zfs.destroy(dataset, { recursive: true });
  } catch (error) {
    if (!(error instanceof ZfsError && error.reason === "not-found")) throw error;
  }
}

/**
 * Destroy what is a day old and nobody is at work on. What goes wrong is a warning.
 *
 * @param rows of these, and of others, which are left alone
 */
export async function tidyReceiving(
  options: ReceivingOptions,
  rows: readonly Row<typeof usedProperty>[],
): Promise<void> {
  const { layout, warn } = options;
  const now = Date.now() / 1000;
  for (const row of rows) {
    if (!row.name.startsWith(`${layout.receiving}/`)) continue;
    if (now - (Number(row[usedProperty]) || 0) < keptFor) continue;
    const dataset = row.name as DatasetName;
    using lock = tryLockWithoutRoom(layout.locks, receivingLock(lastComponent(dataset)));
    if (lock === undefined) continue;
    try {
      await destroyReceived(options, dataset);
    } catch (error) {
      warn(`cannot remove ${dataset}, which was received in part: ${reasonOf(error)}`);
    }
  }
}
