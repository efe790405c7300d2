/**
 * What a command is, and what it is given.
 *
 * @module
 */

import type { Terminal } from "./terminal.ts";

/** What the dispatcher hands to a command. */
export interface Context {
  /** The arguments after the command's name. */
  readonly args: readonly string[];
  /** Standard error. */
  readonly terminal: Terminal;
  /** Write a result, with its line end, to standard output. */
  readonly print: (text: string) => void;
  /** The environment as the caller had it. */
  readonly environment: Readonly<Record<string, string>>;
}

/** One subcommand. */
export interface Command {
  /** Its help: the first line is the synopsis without the program's name. */
  readonly usage: string;

  /**
   * Do it.
   *
   * @returns the exit code
   * @throws {UsageError} on a wrong call: the usage is shown, exit code 1
   * @throws {EnrootError} on failure: the message is shown, exit code 1
   */
  run(context: Context): Promise<number>;
}
