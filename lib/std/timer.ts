/**
 * Limits on what is waited for.
 *
 * @module
 */

/**
 * Do something after a time, unless what is returned is disposed of before.
 *
 * It does not keep the process from ending: it is for limits, and not for pauses. Unlike the first
 * `setTimeout`, which makes the runtime load its timers for Node, it costs nothing.
 */
export function after(milliseconds: number, act: () => void): Disposable {
  const signal = AbortSignal.timeout(Math.ceil(milliseconds));
  signal.addEventListener("abort", act, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", act) };
}
