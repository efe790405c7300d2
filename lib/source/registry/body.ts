/**
 * Reading answers: every wait for their bytes has an end.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { maxDocument } from "../open_manifest.ts";
import { after } from "../../std/timer.ts";

/** When a body is given up. */
export interface BodyLimits {
  /** Ends the reading with its reason. */
  readonly signal: AbortSignal;
  /**
   * How long nothing may come, in seconds; a minute when absent. In so much waiting at least
   * {@linkcode leastBytes} must have come: who sends a byte now and then would else never end.
   */
  readonly stallSeconds?: number;
  /** How long all of it may take, in seconds; 0 or absent: no limit. */
  readonly totalSeconds?: number;
  /** The setting that says so, for the message; absent where there is none. */
  readonly totalSetting?: string;
  /** When it began, by `performance.now()`; now when absent. */
  readonly begunAt?: number;
}

/** How long a small document may take, in seconds, once its answer has begun. */
export const documentSeconds = 120;

/** The bytes that must come in each {@linkcode BodyLimits.stallSeconds} that a body is waited for. */
export const leastBytes = 16_384;

/**
 * A body's bytes as they come. The connection is given up when the reader stops early.
 *
 * @param what the thing that is read, for messages
 * @throws {EnrootError} code `unreachable` for a cut and a stall, `too-slow` for the limit of all of it
 */
export async function* readBody(
  response: Response,
  what: string,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const { signal, stallSeconds = 60, totalSeconds = 0, totalSetting } = limits;
  const { begunAt = performance.now() } = limits;
  const reader = response.body.getReader();
  let failure: unknown;
  // Ends a read that is waiting, too.
  const stop = (reason: unknown): void => {
    failure ??= reason;
    reader.cancel().catch(() => {});
  };
  const giveUp = (why: string, code = "unreachable"): void =>
    stop(new EnrootError(code, `${what}: ${why}`));
  const abort = (): void => stop(signal.reason);
  signal.addEventListener("abort", abort, { once: true });

  // Unset while the reader works: its time is not the sender's.
  let waitingSince: number | undefined;
  let stallTimer: Disposable | undefined;
  // Set again only when it fires: a timer for each piece would cost more than the piece.
  const watch = (): void => {
    const now = performance.now();
    const left = (waitingSince ?? now) + stallSeconds * 1000 - now;
    if (left > 0) stallTimer = after(left, watch);
    else giveUp(`no byte came for ${stallSeconds} s`);
  };
  watch();
  const setting = totalSetting === undefined ? "" : ` (${totalSetting})`;
  const totalTimer = totalSeconds > 0
    ? after(
      Math.max(0, begunAt + totalSeconds * 1000 - performance.now()),
      () => giveUp(`not complete after ${totalSeconds} s${setting}`, "too-slow"),
    )
    : undefined;
  // Since the rate was last looked at.
  let waited = 0;
  let came = 0;
  try {
    signal.throwIfAborted();
    for (;;) {
      const since = performance.now();
      waitingSince = since;
      const { done, value } = await read();
      waitingSince = undefined;
      if (failure !== undefined) throw failure;
      if (done) return;
      waited += performance.now() - since;
      came += value.length;
      if (waited > stallSeconds * 1000) {
        if (came < leastBytes) {
          throw new EnrootError(
            "unreachable",
            `${what}: only ${came} bytes came in ${stallSeconds} s`,
          );
        }
        waited = came = 0;
      }
      yield value;
    }
  } finally {
    stallTimer?.[Symbol.dispose]();
    totalTimer?.[Symbol.dispose]();
    signal.removeEventListener("abort", abort);
    await reader.cancel().catch(() => {});
  }

  async function read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    try {
      return await reader.read();
    } catch (error) {
      signal.throwIfAborted();
      throw failure ??
        new EnrootError("unreachable", `${what}: the connection broke: ${reasonOf(error)}`, {
          cause: error,
        });
    }
  }
}

/**
 * A small document's bytes. Unless the limits say otherwise all of it has to come within
 * {@linkcode documentSeconds}.
 *
 * @throws {EnrootError} code `too-large` when it is no small document, else as {@linkcode readBody}
 */
export async function readDocumentBody(
  response: Response,
  what: string,
  limits: BodyLimits,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of readBody(response, what, { totalSeconds: documentSeconds, ...limits })) {
    size += part.length;
    if (size > maxDocument) {
      throw new EnrootError("too-large", `${what} has more than ${maxDocument} bytes`);
    }
    parts.push(part);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
