/**
 * Files from the thread that makes them to the one that fills the ring: of small files it takes as long
 * to write and close them as to make them, and the other thread would only wait for room.
 *
 * @module
 */

import { dataAt, fileFields, maxFiles, RingSide, word } from "./ring_side.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A file that was made, and what is to be done with it. */
export interface HandedFile {
  /** Open for writing; it is closed by whoever completes the file. */
  readonly descriptor: number;
  /** All of its content. It lies in the ring. */
  readonly bytes: Bytes;
  /** Its time. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** How many slots the other side must be ahead to have time for more. */
const ahead = 2;

/** How many files wait before the other side is woken for them. */
const worthWaking = 8;

/**
 * The files of one ring, for either side. Disposing of it closes those that nobody has taken: whoever
 * fails does, and nothing is left open then.
 */
export class Handover implements Disposable {
  readonly #side: RingSide;
  readonly #ring: SharedArrayBuffer;
  readonly #finish: (file: HandedFile) => void;
  readonly #close: (descriptor: number) => void;

  /**
   * @param check asked while it waits; what it throws ends the waiting
   * @param finish completes a file and closes it; it is closed as well when this throws
   * @param close closes a file that is given up
   */
  constructor(
    ring: SharedArrayBuffer,
    check: () => void,
    finish: (file: HandedFile) => void,
    close: (descriptor: number) => void,
  ) {
    this.#side = new RingSide(ring, check);
    this.#ring = ring;
    this.#finish = finish;
    this.#close = close;
  }

  /**
   * Hand a file over, for the side that reads the ring: before it goes on to the next slot.
   *
   * @returns false when the other side has no time for it: then it is the caller's as before
   */
  offer({ descriptor, bytes, seconds, nanoseconds }: HandedFile): boolean {
    const { words, files, waiting } = this.#side;
    if ((bytes.buffer as ArrayBufferLike) !== this.#ring || waiting < ahead) return false;
    const handed = Atomics.load(words, word.handed);
    const left = handed - Atomics.load(words, word.taken) | 0;
    if (left >= maxFiles) return false;
    const at = placeOf(handed);
    files[at] = descriptor;
    files[at + 1] = bytes.byteOffset;
    files[at + 2] = bytes.length;
    files[at + 3] = seconds;
    files[at + 4] = nanoseconds;
    Atomics.add(words, word.handed, 1);
    if (left + 1 >= worthWaking) this.#side.tell();
    return true;
  }

  /**
   * Complete one file, for either side.
   *
   * @returns false when none is left
   * @throws what completing it does
   */
  readonly finishOne = (): boolean => {
    const file = this.#take();
    if (file === undefined) return false;
    this.#finish(file);
    Atomics.add(this.#side.words, word.finished, 1);
    this.#side.tell();
    return true;
  };

  /** Complete what is left, and wait for those that the other side is at: once all were handed over. */
  settle(): void {
    const { words } = this.#side;
    this.#side.until(
      () => Atomics.load(words, word.finished) === Atomics.load(words, word.handed),
      this.finishOne,
    );
  }

  [Symbol.dispose](): void {
    for (let file = this.#take(); file !== undefined; file = this.#take()) {
      this.#close(file.descriptor);
    }
  }

  #take(): HandedFile | undefined {
    const { words, files } = this.#side;
    for (;;) {
      const taken = Atomics.load(words, word.taken);
      if (taken === Atomics.load(words, word.handed)) return undefined;
      const at = placeOf(taken);
      const [descriptor = -1, offset = dataAt, length = 0, seconds = 0, nanoseconds = 0] = files
        .subarray(at, at + fileFields);
      // Its place may be another file's by now; then the count has gone on as well.
      if (Atomics.compareExchange(words, word.taken, taken, taken + 1) !== taken) continue;
      // Whatever takes bytes takes them from either kind of memory; only their types are at odds.
      const bytes = new Uint8Array(this.#ring, offset, length) as unknown as Bytes;
      return { descriptor, bytes, seconds, nanoseconds };
    }
  }
}

/** Counts wrap around at 32 bits, which the number of places divides. */
function placeOf(count: number): number {
  return (count >>> 0) % maxFiles * fileFields;
}
