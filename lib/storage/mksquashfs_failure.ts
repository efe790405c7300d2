/**
 * Why `mksquashfs` failed, from what it says on standard error.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { CommandError } from "../process/run.ts";

// Source: mksquashfs.c and *_wrapper.c of squashfs-tools 4.5. What is wrong with the options it says first, by
// its own name or the compressor's, and then lists what there is; all else it says at the end.
const ofOptions = /^(?:(?:\/.*\/)?mksquashfs|gzip|lzo|lz4|xz|zstd|lzma): *(.*?)!?$/m;
const reason = /FATAL|ERROR|because|fail|could ?n.t|cannot|not supported|invalid|\bbad\b/i;

/** How many of its reasons are told. */
const told = 3;

/**
 * The failure in words for whoever set the options.
 *
 * @param error how it ended
 * @param beginning the beginning of what it said on standard error; its end is in the error
 * @param options `ENROOT_SQUASH_OPTIONS`, in words
 * @returns code `bad-squash-options` when it did not take the options, else `pack-failed`
 */
export function mksquashfsFailure(
  error: CommandError,
  beginning: string,
  options: readonly string[],
): EnrootError {
  const lines = error.stderr.split(/[\n\r]+/).map((line) => line.trim());
  const quoted = lines.find((line) => options.some((word) => line.includes(`"${word}"`)));
  const refusal = ofOptions.exec(beginning)?.[1] ?? quoted;
  if (refusal !== undefined && options.length > 0 && error.signal === null) {
    return new EnrootError(
      "bad-squash-options",
      `mksquashfs does not take ENROOT_SQUASH_OPTIONS '${options.join(" ")}': ${refusal}`,
      { cause: error },
    );
  }
  const reasons = lines.filter((line) => reason.test(line)).slice(-told);
  if (reasons.length === 0) return new EnrootError("pack-failed", error.message, { cause: error });
  const how = error.signal === null
    ? `failed with exit code ${error.exitCode}`
    : `was ended by ${error.signal}`;
  return new EnrootError("pack-failed", `mksquashfs ${how}: ${reasons.join("; ")}`, {
    cause: error,
  });
}
