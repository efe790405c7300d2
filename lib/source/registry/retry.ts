/**
 * Trying again what may pass.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import { RegistryError } from "./error.ts";

const firstBackoff = 500;
const longestBackoff = 30_000;

/**
 * Do work, again when it fails in a way that may pass: 429, 5xx, and failures of the network. The
 * work holds all of one transfer, the reading of the body too, so that a cut body counts as well.
 *
 * @param signal ends the waiting between two attempts
 * @throws what the last attempt threw
 */
export async function retrying<T>(
  work: () => Promise<T>,
  { retries, log }: Pick<SourceOptions, "retries" | "log">,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 0;; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= retries || !mayPass(error)) throw error;
      log("warning", `${error.message}; trying again`);
      const asked = error instanceof RegistryError ? error.retryAfter : undefined;
      await sleep(Math.min(longestBackoff, asked ?? backoff(attempt)), signal);
    }
  }
}

function mayPass(error: unknown): error is EnrootError {
  return error instanceof RegistryError
    ? error.status === 429 || error.status >= 500
    : error instanceof EnrootError && error.code === "unreachable";
}

function backoff(attempt: number): number {
  // Many nodes fail at the same moment: they must not come back at the same moment.
  return Math.min(longestBackoff, firstBackoff * 2 ** attempt) * (0.5 + Math.random() / 2);
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
