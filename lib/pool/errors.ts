/**
 * Errors on their way between threads.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { EncodedError } from "./protocol.ts";

/** An error as what structured clone keeps whole. */
export function encodeError(error: unknown): EncodedError {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error instanceof EnrootError ? { code: error.code } : {}),
  };
}

/** The error again: an {@linkcode EnrootError} when it was one, with its code and message. */
export function decodeError({ code, message, stack }: EncodedError): Error {
  const error = code === undefined ? new Error(message) : new EnrootError(code, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
