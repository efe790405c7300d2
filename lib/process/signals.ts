/**
 * Ending by a signal, after cleaning up.
 *
 * @module
 */

import { callerState } from "./caller.ts";

const listened = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const numbers: Readonly<Record<(typeof listened)[number], number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGTERM: 15,
};

/** Work that was ended by a signal; the process must end by it too, once it has cleaned up. */
export class TerminatedBySignal extends Error {
  override readonly name = "TerminatedBySignal";

  constructor(readonly signal: Deno.Signal) {
    super(`ended by ${signal}`);
  }
}

/**
 * Do work that SIGINT, SIGTERM and SIGHUP end early.
 *
 * Signals that the caller of the program had ignored (`nohup`) are left ignored. While the work
 * cleans up, a second signal changes nothing and a third ends the process at once.
 *
 * @param work is given a signal whose reason is a {@linkcode TerminatedBySignal}
 * @throws {TerminatedBySignal} when one came, whatever the work made of it, once the work is settled
 */
export async function withTermination<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { ignoredSignals } = callerState();
  const abort = new AbortController();
  let received = 0;
  using listeners = new DisposableStack();
  for (const name of listened) {
    const ignored = ignoredSignals.has(numbers[name]);
    const listener = (): void => {
      // Also an ignored signal is listened to: with one listener the runtime catches all three,
      // and ends the process by those that nobody wants.
      if (ignored) return;
      received++;
      abort.abort(new TerminatedBySignal(name));
      if (received < 3) return;
      // With a listener left the signal would only come back here.
      listeners.dispose();
      endBySignal(new TerminatedBySignal(name));
    };
    Deno.addSignalListener(name, listener);
    listeners.defer(() => Deno.removeSignalListener(name, listener));
  }
  try {
    return await work(abort.signal);
  } finally {
    if (abort.signal.aborted) abort.signal.throwIfAborted();
  }
}

/** End the process as the signal would have, had nobody listened. */
export function endBySignal({ signal }: TerminatedBySignal): never {
  Deno.kill(Deno.pid, signal);
  // Whichever thread takes the signal, an exit of this one right away could still come first.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  // It was delivered on the way; where the caller had it blocked, the code says as much.
  const number = listened.find((name) => name === signal);
  Deno.exit(128 + (number === undefined ? 0 : numbers[number]));
}
