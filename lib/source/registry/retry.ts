/**
 * Trying again what may pass.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import { RegistryError } from "./error.ts";

const firstBackoff = 500;

/** The longest pause, in milliseconds, also where a registry asks for a longer one. */
const longestBackoff = 60_000;

/** The pause before a transfer that got on is resumed, in milliseconds. */
const resumePause = 200;

/**
 * The attempts at one piece of work: which failures may pass, how many of them are borne, and the
 * pauses between.
 *
 * Counted are failures in a row that brought nothing. A transfer that got on before it broke is
 * resumed without being counted: how often that can be is limited by its size.
 */
export class Attempts {
  readonly #options: Pick<SourceOptions, "retries" | "log">;
  readonly #signal: AbortSignal;
  #failures = 0;
  #resumed = false;

  /** @param signal ends the pauses */
  constructor(options: Pick<SourceOptions, "retries" | "log">, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /**
   * Pause after a failure until it is time for the next attempt.
   *
   * @param hasProgress whether the attempt brought something that the next one need not fetch again
   * @throws the failure, when it does not pass or was the last that is borne; the signal's reason
   */
  async failed(error: unknown, hasProgress = false): Promise<void> {
    this.#signal.throwIfAborted();
    if (!mayPass(error)) throw error;
    const { retries, log } = this.#options;
    if (hasProgress) {
      this.#failures = 0;
      // A line that breaks every second breaks thousands of times.
      log(this.#resumed ? "debug" : "warning", `${error.message}; resuming`);
      this.#resumed = true;
      return await sleep(jittered(resumePause), this.#signal);
    }
    if (this.#failures >= retries) throw error;
    const asked = error instanceof RegistryError ? error.retryAfter : undefined;
    const pause = Math.min(longestBackoff, asked ?? backoff(this.#failures));
    const seconds = (milliseconds: number): number => Math.ceil(milliseconds / 1000);
    const wish = asked === undefined || asked <= pause
      ? ""
      : `, though ${seconds(asked)} are asked for`;
    log("warning", `${error.message}; trying again in ${seconds(pause)} s${wish}`);
    this.#failures++;
    await sleep(pause, this.#signal);
  }
}

/**
 * Do work, again when it fails in a way that may pass: 408, 429, 5xx, and failures of the network. The
 * work holds all of one request, the reading of the body too, so that a cut body counts as well.
 *
 * @param signal ends the waiting between two attempts
 * @throws what the last attempt threw
 */
export async function retrying<T>(
  work: () => Promise<T>,
  options: Pick<SourceOptions, "retries" | "log">,
  signal: AbortSignal,
): Promise<T> {
  const attempts = new Attempts(options, signal);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      await attempts.failed(error);
    }
  }
}

function mayPass(error: unknown): error is EnrootError {
  return error instanceof RegistryError
    ? error.status === 408 || error.status === 429 || error.status >= 500
    : error instanceof EnrootError &&
      (error.code === "unreachable" || error.code === "truncated");
}

function backoff(failures: number): number {
  return jittered(Math.min(longestBackoff, firstBackoff * 2 ** failures));
}

/** Many nodes fail at the same moment: they must not come back at the same moment. */
function jittered(milliseconds: number): number {
  return milliseconds * (0.5 + Math.random() / 2);
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  });
}
