/**
 * Bytes from one thread to another, through memory that both see: a fixed number of slots of a fixed
 * size, filled and emptied in turn. Whoever is ahead waits.
 *
 * @module
 */

import { dataAt, RingSide, slots, slotSize, word, wordsSize } from "./ring_side.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Some bytes of a stream, and what belongs to them. */
export interface RingPiece {
  /** Valid until the next piece is asked for. */
  readonly bytes: Bytes;
  /** How many more stored bytes were read for them. */
  readonly stored: number;
}

/** The memory of a ring, about 2 MiB; one writer and one reader may use it, once. */
export function createRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(dataAt + slots * slotSize);
}

/** Make a ring as good as new. Nobody may use it meanwhile. */
export function resetRing(ring: SharedArrayBuffer): void {
  new Int32Array(ring, 0, wordsSize / 4).fill(0);
}

/** The side that bytes go in. It blocks its thread while there is no room. */
export class RingWriter {
  readonly #side: RingSide;
  readonly #data: Uint8Array<SharedArrayBuffer>;
  readonly #work: () => boolean;
  #filled = 0;
  /** Bytes in the slot that is being filled, and stored bytes that were read since the last one. */
  #length = 0;
  #stored = 0;

  /**
   * @param check asked while it waits; what it throws ends the writing
   * @param work what can be done meanwhile, a little at a time; false when there is nothing. What has
   * to do with the content of a slot is all done before that is filled anew.
   */
  constructor(ring: SharedArrayBuffer, check: () => void, work: () => boolean = () => false) {
    this.#side = new RingSide(ring, check);
    this.#work = work;
    this.#data = new Uint8Array(ring, dataAt);
  }

  /** Note that more stored bytes were read, for what is written next. */
  note(stored: number): void {
    this.#stored += stored;
  }

  /** Write bytes; they are copied. */
  write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#length === 0) this.#untilRoom();
      const part = rest.subarray(0, slotSize - this.#length);
      this.#data.set(part, this.#filled % slots * slotSize + this.#length);
      this.#length += part.length;
      if (this.#length === slotSize) this.#publish();
      rest = rest.subarray(part.length);
    }
  }

  /** Say that this was all. Without it the reader never ends by itself. */
  end(): void {
    // A last slot without bytes is one too: stored bytes may have been read for nothing.
    if (this.#length === 0) this.#untilRoom();
    this.#publish();
    Atomics.store(this.#side.words, word.ended, 1);
    this.#side.tell();
  }

  /** Once all is written: work until the reader has used it. */
  workUntilRead(): void {
    this.#side.until(() => this.#side.waiting === 0, this.#work);
    while (this.#work());
  }

  #untilRoom(): void {
    this.#side.until(() => this.#side.waiting < slots, this.#work);
    // It looks for work after it has seen the slot emptied: what was to be done with that is known.
    while (this.#work());
  }

  #publish(): void {
    const header = this.#filled % slots * 2;
    this.#side.headers[header] = this.#length;
    this.#side.headers[header + 1] = this.#stored;
    this.#filled++;
    this.#length = this.#stored = 0;
    Atomics.add(this.#side.words, word.filled, 1);
    this.#side.tell();
  }
}

/**
 * What comes out of a ring, in order, to its end. It blocks its thread while there is nothing.
 *
 * @param check asked while it waits; what it throws ends the reading
 */
export function* readRing(ring: SharedArrayBuffer, check: () => void): Generator<RingPiece> {
  const side = new RingSide(ring, check);
  // Whatever takes bytes here takes them from either kind of memory; only their types are at odds.
  const data = new Uint8Array(ring, dataAt) as unknown as Bytes;
  const isEnded = (): boolean => Atomics.load(side.words, word.ended) !== 0;
  for (let slot = 0;; slot = (slot + 1) % slots) {
    side.until(() => side.waiting > 0 || isEnded());
    if (side.waiting === 0) return;
    const [length = 0, stored = 0] = side.headers.subarray(slot * 2, slot * 2 + 2);
    yield { bytes: data.subarray(slot * slotSize, slot * slotSize + length), stored };
    Atomics.add(side.words, word.emptied, 1);
    side.tell();
  }
}
