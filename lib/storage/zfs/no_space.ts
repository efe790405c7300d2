/**
 * Want of room: telling it from other failures, and telling people.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import type { DatasetName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";

/** ENOSPC is a full pool, EDQUOT a quota; a runtime without a name for the latter gives its number. */
const words = /^(?:ENOSPC|EDQUOT)$/;
const text = /\(os error (?:28|122)\)|No space left on device|Disk quota exceeded/;

/** Whether a failure, or what caused it, is want of room. */
export function isNoSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof ZfsError) return error.reason === "no-space";
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && words.test(code) || text.test(error.message) ||
    isNoSpace(error.cause);
}

/**
 * The error for want of room in a store from which nothing can go by itself any more.
 *
 * @param what has no room, in words
 * @param size as how many bytes it comes, where that is known
 */
export async function noRoom(
  what: string,
  { zfs, store }: { readonly zfs: Zfs; readonly store: DatasetName },
  error: unknown,
  size?: number,
): Promise<EnrootError> {
  const [row] = await zfs.list([store], { columns: ["available"] });
  const needed = size === undefined ? "" : ` (it comes as ${mebibytes(size)})`;
  return new EnrootError(
    "no-space",
    `${what}${needed} has no room in ${store}, where ${
      mebibytes(Number(row?.available) || 0)
    } are free and nothing is left that could ` +
      `go by itself: remove containers, or raise the quota (${reasonOf(error)})`,
    { cause: error },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
