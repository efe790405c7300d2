/**
 * A blob that is read while it arrives, from the file in which it grows.
 *
 * @module
 */

import { AT, close, must, O, openAt } from "../../sys/at.ts";
import { cstring } from "../../sys/libc.ts";
import { ArrivalWriter, createArrival } from "../../streams/arrival.ts";

/** So much has arrived before anybody reads it: what has less is soon there. In bytes. */
const leastArrived = 1 << 20;

/** A blob on its way into the cache, which can be read meanwhile. */
export class ArrivingBlob {
  /** Memory that says how far it is. */
  readonly arrival: SharedArrayBuffer = createArrival();
  readonly #writer = new ArrivalWriter(this.arrival);
  readonly #size: number;
  readonly #readable = Promise.withResolvers<void>();
  #descriptor: number | undefined;
  #arrived = 0;
  #isComing = false;
  #isGiven = false;
  #wasDropped = false;
  #isClosed = false;

  /** @param size how many bytes it will have */
  constructor(size: number) {
    this.#size = size;
  }

  /** Settles when there is enough of it to be read; never, when it is small, or comes at once. */
  get readable(): Promise<void> {
    return this.#readable.promise;
  }

  /** Its file, by a path that leads there whatever it is called. */
  get path(): string {
    return `/proc/self/fd/${this.#descriptor}`;
  }

  /** Whether bytes that may have been read were dropped, because they were wrong or cannot be gone on with. */
  get wasDropped(): boolean {
    return this.#wasDropped;
  }

  /** It grows in this file from now on. @throws {SysError} */
  begin(path: string): void {
    if (this.#isClosed) return;
    this.#close();
    this.#descriptor = must(openAt(AT.FDCWD, cstring(path), O.RDONLY | O.CLOEXEC), "open", path);
  }

  /** Its bytes come, those that are in its file already can be gone on with. */
  come(): void {
    this.#isComing = true;
  }

  /** So many more bytes are in its file; fewer than none: what was there does not count. */
  add(bytes: number): void {
    this.#arrived += bytes;
    if (bytes < 0) {
      this.#isComing = false;
      if (!this.#isGiven) return;
      this.#wasDropped = true;
      return this.#writer.fail();
    }
    if (!this.#isComing || this.#arrived < leastArrived) return;
    this.#writer.grow(this.#arrived);
    if (this.#isGiven || this.#arrived >= this.#size) return;
    this.#isGiven = true;
    this.#readable.resolve();
  }

  /** All of it is there, and is what it should be. */
  finish(): void {
    this.#writer.finish();
  }

  /** There will be no more of it. */
  fail(): void {
    this.#writer.fail();
  }

  /** Nobody opens it any more. */
  close(): void {
    this.#isClosed = true;
    this.#close();
  }

  #close(): void {
    if (this.#descriptor !== undefined) close(this.#descriptor);
    this.#descriptor = undefined;
  }
}
