/**
 * Telling want of room from other failures.
 *
 * @module
 */

import { ZfsError } from "../../zfs/error.ts";

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
