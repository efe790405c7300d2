/**
 * At most so many at once.
 *
 * @module
 */

/** Lets a number of pieces of work run at once; the others wait their turn. */
export class Limiter {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param limit how many; 0: no limit */
  constructor(limit: number) {
    this.#free = limit === 0 ? Infinity : limit;
  }

  /** Wait for a turn; it ends when what is returned is disposed of. */
  async turn(): Promise<Disposable> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free++;
        else next();
      },
    };
  }
}
