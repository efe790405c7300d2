/**
 * What is wrong with compressed bytes.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** Compressed bytes that are damaged, that end too early, or that are not what they are said to be. */
export class CompressionError extends EnrootError {
  override readonly name = "CompressionError";

  /** @param why what is wrong */
  constructor(why: string, options?: ErrorOptions) {
    super("bad-compression", why, options);
  }
}
