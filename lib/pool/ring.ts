/**
 * Bytes from one thread to another, through memory that both see: a fixed number of slots of a fixed
 * size, filled and emptied in turn. Whoever is ahead waits.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

/** How many slots there are: enough that neither side waits for the other's odd slow moment. */
const slots = 8;

/** How many bytes a slot holds. */
const slotSize = 256 * 1024;

/** The 32-bit words that both sides work with; they are changed by `Atomics` alone. */
const word = {
  /** Counted up whenever something happens: what is waited on. */
  changes: 0,
  /** How many slots were filled, and how many of those were emptied. */
  filled: 1,
  emptied: 2,
  /** Not 0 once nothing comes any more. */
  ended: 3,
} as const;

const wordsSize = 16;
const headersAt = wordsSize;
const dataAt = headersAt + slots * 16;

/** How long a side sleeps before it asks whether it is still wanted, in milliseconds. */
const nap = 50;

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

/** What both sides have of a ring. */
class RingSide {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Of each slot its length, and how many stored bytes were read for it. */
  readonly headers: Float64Array<SharedArrayBuffer>;
  readonly #check: () => void;

  constructor(ring: SharedArrayBuffer, check: () => void) {
    this.words = new Int32Array(ring, 0, wordsSize / 4);
    this.headers = new Float64Array(ring, headersAt, slots * 2);
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

  /** Wait until something is so; the other side makes it so. */
  until(isSo: () => boolean): void {
    for (;;) {
      this.#check();
      // In this order: what happens after the look at the count makes the wait end at once.
      const changes = Atomics.load(this.words, word.changes);
      if (isSo()) return;
      Atomics.wait(this.words, word.changes, changes, nap);
    }
  }
}

/** The side that bytes go in. It blocks its thread while there is no room. */
export class RingWriter {
  readonly #side: RingSide;
  readonly #data: Uint8Array<SharedArrayBuffer>;
  #filled = 0;
  /** Bytes in the slot that is being filled, and stored bytes that were read since the last one. */
  #length = 0;
  #stored = 0;

  /** @param check asked while it waits; what it throws ends the writing */
  constructor(ring: SharedArrayBuffer, check: () => void) {
    this.#side = new RingSide(ring, check);
    this.#data = new Uint8Array(ring, dataAt);
  }

  /** Note that more stored bytes were read, for what is written next. */
  note(stored: number): void {
    this.#stored += stored;
  }

  /** Write bytes; they are copied. */
  write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) {
      if (this.#length === 0) this.#side.until(() => this.#side.waiting < slots);
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
    if (this.#length === 0) this.#side.until(() => this.#side.waiting < slots);
    this.#publish();
    Atomics.store(this.#side.words, word.ended, 1);
    this.#side.tell();
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
