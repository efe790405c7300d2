/**
 * Why `zfs` failed.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { CommandError } from "../process/run.ts";

/** What callers may act on; everything else is for a person to read. */
export type ZfsReason =
  | "exists"
  | "not-found"
  | "has-clones"
  | "busy"
  | "held"
  | "no-space"
  | "permission"
  | "unknown";

/** A `zfs` command that failed. */
export class ZfsError extends EnrootError {
  override readonly name = "ZfsError";
  readonly reason: ZfsReason;
  /** The subcommand, for example `clone`. */
  readonly subcommand: string;

  /** @param error how the process ended and what it said */
  constructor(error: CommandError) {
    const subcommand = error.argv[1] ?? "";
    const said = error.stderr.trim().split(/\s*[\n\r]+\s*/).join("; ");
    const reason = classify(error.stderr);
    super(
      `zfs-${reason}`,
      `zfs ${subcommand} failed: ${said === "" ? `exit code ${error.exitCode}` : said}`,
      { cause: error },
    );
    this.reason = reason;
    this.subcommand = subcommand;
  }
}

// The words are those of libzfs (libzfs_util.c, zfs_error_fmt and its callers), the same from 2.1 to
// 2.4, and of strerror(3) where the kernel refused without more. The first that fits counts.
const words: readonly (readonly [ZfsReason, RegExp])[] = [
  [
    "no-space",
    /out of space|No space left on device|[Dd]is[ck] quota exceeded|space quota exceeded/,
  ],
  ["permission", /[Pp]ermission denied|must be run as root|[Ii]nsufficient privileges/],
  // Who has put a hold on a snapshot: it says so before anything is destroyed.
  ["held", /it's being held/],
  ["busy", /(?:dataset|pool|filesystem|pool or dataset) is busy|Device or resource busy/],
  ["exists", /already exists/],
  ["has-clones", /has dependent clones/],
  ["not-found", /does not exist|no such (?:pool|dataset)|could not find any snapshots/],
];

/** The reason in what `zfs` wrote to standard error with `LC_ALL=C`. */
export function classify(stderr: string): ZfsReason {
  return words.find(([, pattern]) => pattern.test(stderr))?.[0] ?? "unknown";
}
