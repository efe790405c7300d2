/**
 * The end of a file that a layer brings: its content, its time, and that it is stored.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import type { HandedFile } from "../pool/handover.ts";
import { close, closeWritten, utimeFd, writeAll } from "../sys/at.ts";
import { SysError } from "../sys/libc.ts";

/**
 * Write all of a file's content, set its time and close it.
 *
 * @throws {SysError} when that fails; it is closed all the same
 */
export function finishFile({ descriptor, bytes, seconds, nanoseconds }: HandedFile): void {
  // It is gone from /proc once the file is closed.
  const failed = (result: number, call: string, subject = pathOf(descriptor)): SysError => {
    close(descriptor);
    return new SysError(call, -result, subject);
  };
  const written = writeAll(descriptor, bytes);
  if (written < 0) throw failed(written, "write");
  const timed = utimeFd(descriptor, seconds, nanoseconds);
  if (timed < 0) throw failed(timed, "utimensat");
  const closed = closeWritten(descriptor);
  if (closed < 0) throw new SysError("close", -closed, "a file of the layer");
}

function pathOf(descriptor: number): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${descriptor}`);
  } catch (error) {
    return `a file of the layer (${reasonOf(error)})`;
  }
}
