/**
 * How far a file has arrived that is read while it is written: one thread writes, others wait for bytes.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** The words of the memory that both sides see. */
const word = { size: 0, state: 1 } as const;
const state = { arriving: 0n, whole: 1n, ended: 2n } as const;

/** How long a reader waits before it looks whether it should, in milliseconds. */
const patience = 100;

/** The memory of an arrival, for one writer and any number of readers. */
export function createArrival(): SharedArrayBuffer {
  return new SharedArrayBuffer(Object.keys(word).length * BigInt64Array.BYTES_PER_ELEMENT);
}

/** The writer's side. */
export class ArrivalWriter {
  readonly #words: BigInt64Array<SharedArrayBuffer>;

  constructor(arrival: SharedArrayBuffer) {
    this.#words = new BigInt64Array(arrival);
  }

  /** The file's first bytes are there now, and stay: so many. */
  grow(size: number): void {
    Atomics.store(this.#words, word.size, BigInt(size));
    Atomics.notify(this.#words, word.size);
  }

  /** All is there. */
  finish(): void {
    this.#end(state.whole);
  }

  /** There will be no more, or what was there is not what it should be. Nothing is after the end. */
  fail(): void {
    this.#end(state.ended);
  }

  #end(how: bigint): void {
    Atomics.compareExchange(this.#words, word.state, state.arriving, how);
    Atomics.notify(this.#words, word.size);
  }
}

/**
 * Wait until there are bytes behind a position. It blocks its thread.
 *
 * @param check asked while it waits; what it throws ends the waiting
 * @returns where the bytes end that are there; `Infinity` when all are
 * @throws {EnrootError} code `truncated` when there will be no more
 */
export function arrivedBeyond(
  arrival: SharedArrayBuffer,
  position: number,
  check: () => void,
): number {
  const words = new BigInt64Array(arrival);
  for (;;) {
    const how = Atomics.load(words, word.state);
    if (how === state.whole) return Infinity;
    if (how === state.ended) {
      throw new EnrootError("truncated", `it broke off after ${position} bytes`);
    }
    const size = Atomics.load(words, word.size);
    if (size > position) return Number(size);
    check();
    Atomics.wait(words, word.size, size, patience);
  }
}
