/**
 * Who gave the bytes of a blob that is being fetched: when they are wrong, somebody else is asked.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";

/**
 * Say that an answer was of no use.
 *
 * @param answer what the registry was asked for and gave
 * @returns whether somebody else answers now
 */
export type TurnDown = (answer: Response, error: EnrootError) => boolean;

/** Failures that are the answering host's, so that another one may do better. */
const hostFaults: readonly string[] = [
  ...["digest-mismatch", "size-mismatch", "bad-length", "bad-answer", "truncated", "unreachable"],
];

/** The answers that the bytes of one blob came from. */
export class Givers {
  readonly #turnDown: TurnDown;
  /** Those whose bytes are in what arrived. */
  readonly #all = new Set<Response>();
  #current: Response | undefined;

  constructor(turnDown: TurnDown) {
    this.#turnDown = turnDown;
  }

  /** Ask; a failure from here on is the fault of who answers. */
  async ask(question: () => Promise<Response>): Promise<Response> {
    this.#current = undefined;
    return this.#current = await question();
  }

  /** The last answer's bytes come, from an offset on. */
  begin(offset: number): void {
    if (offset === 0) this.#all.clear();
    if (this.#current !== undefined) this.#all.add(this.#current);
  }

  /** Turn down whom a failure is the fault of. @returns whether somebody else is asked now */
  turnDown(error: unknown): boolean {
    if (!(error instanceof EnrootError) || !hostFaults.includes(error.code)) return false;
    // Of what came in pieces nobody knows which one was wrong.
    const blamed = error.code === "digest-mismatch"
      ? [...this.#all]
      : this.#current === undefined
      ? []
      : [this.#current];
    return blamed.map((answer) => this.#turnDown(answer, error)).includes(true);
  }
}
