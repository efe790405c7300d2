/**
 * Bytes that come in pieces of their sender's choice and go in portions of their reader's.
 *
 * @module
 */

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Reads a source ahead by no more than the portion that is asked for. One reader at a time.
 * Disposing of it ends the source.
 */
export class ByteQueue implements AsyncDisposable {
  readonly #source: AsyncIterator<Bytes>;
  #head: Bytes = new Uint8Array(0);
  #isAtEnd = false;

  /** @param source its pieces are kept until they are read, and must not change meanwhile */
  constructor(source: AsyncIterable<Bytes>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * What comes next, without taking it.
   *
   * @param least how many bytes there are to be; fewer only when the source has no more
   * @returns as much as there is in one piece; empty only at the end of the source
   */
  async peek(least = 1): Promise<Bytes> {
    while (this.#head.length < least && !this.#isAtEnd) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#isAtEnd = true;
      else this.#head = this.#head.length === 0 ? value : joined(this.#head, value);
    }
    return this.#head;
  }

  /** Take bytes that were seen. */
  drop(count: number): void {
    this.#head = this.#head.subarray(count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }
}

function joined(a: Bytes, b: Bytes): Bytes {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
