/**
 * The one family of errors that a user is meant to read.
 *
 * @module
 */

/**
 * A failure that is explained to the person at the terminal: the message says in one line what
 * failed, on what, why, and, where it is known, what to do next. It is printed as it is, without a
 * stack trace (`ENROOT_DEBUG` adds one).
 *
 * Rooms make subclasses that carry their data. Anything else that is thrown is a defect of the
 * program or a failure of the system that nobody foresaw, and is reported as such.
 */
export class EnrootError extends Error {
  override readonly name: string = "EnrootError";

  /** A stable word for programs and tests: `kebab-case`, the same for each failure of one kind. */
  readonly code: string;

  /**
   * @param code the stable word
   * @param message one line, no trailing full stop
   * @param options the failure below this one, where there is one
   */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A wrong call of a command: the message is followed by the command's usage, exit code 1. */
export class UsageError extends EnrootError {
  override readonly name = "UsageError";

  /** @param message what is wrong with the call, naming the argument */
  constructor(message: string) {
    super("usage", message);
  }
}

/**
 * The reason in any thrown value, as one line for the end of a message: an `Error`'s message with
 * line ends folded, anything else as text.
 */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, "; ").trim() || "unknown error";
}
