/**
 * What both sides of a ring have of its memory.
 *
 * @module
 */

/** How many slots there are: enough that neither side waits for the other's odd slow moment. */
export const slots = 8;

/** How many bytes a slot holds. */
export const slotSize = 256 * 1024;

/** How many files can be handed over at a time. */
export const maxFiles = 64;

/** The 32-bit words that both sides work with; they are changed by `Atomics` alone. */
export const word = {
  /** Counted up whenever something happens: what is waited on. */
  changes: 0,
  /** How many slots were filled, and how many of those were emptied. */
  filled: 1,
  emptied: 2,
  /** Not 0 once nothing comes any more. */
  ended: 3,
  /** How many files were handed over, how many of those were taken, and how many are complete. */
  handed: 4,
  taken: 5,
  finished: 6,
} as const;

export const wordsSize = 32;
const headersAt = wordsSize;
const filesAt = headersAt + slots * 16;

/** How many numbers are kept of a file. */
export const fileFields = 5;

/** Where the bytes begin. */
export const dataAt = filesAt + maxFiles * fileFields * 8;

/** How long a side sleeps before it asks whether it is still wanted, in milliseconds. */
const nap = 50;

/** A side of a ring. */
export class RingSide {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Of each slot its length, and how many stored bytes were read for it. */
  readonly headers: Float64Array<SharedArrayBuffer>;
  /** Of each file that was handed over what `lib/pool/handover.ts` keeps of it. */
  readonly files: Float64Array<SharedArrayBuffer>;
  readonly #check: () => void;

  /** @param check asked while it waits; what it throws ends the waiting */
  constructor(ring: SharedArrayBuffer, check: () => void) {
    this.words = new Int32Array(ring, 0, wordsSize / 4);
    this.headers = new Float64Array(ring, headersAt, slots * 2);
    this.files = new Float64Array(ring, filesAt, maxFiles * fileFields);
    this.#check = check;
  }

  /** How many slots are filled. */
  get waiting(): number {
    return Atomics.load(this.words, word.filled) - Atomics.load(this.words, word.emptied);
  }

  /** Tell the other side that something happened. */
  tell(): void {
    Atomics.add(this.words, word.changes, 1);
    Atomics.notify(this.words, word.changes);
  }

  /**
   * Wait until something is so; the other side makes it so.
   *
   * @param work what can be done meanwhile, a little at a time; false when there is nothing
   */
  until(isSo: () => boolean, work: () => boolean = () => false): void {
    for (;;) {
      this.#check();
      // In this order: what happens after the look at the count makes the wait end at once.
      const changes = Atomics.load(this.words, word.changes);
      if (isSo()) return;
      if (!work()) Atomics.wait(this.words, word.changes, changes, nap);
    }
  }
}
