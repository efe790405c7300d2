/**
 * Reading what a program writes while it writes it, as bytes.
 *
 * @module
 */

import { callerEnvironment } from "./caller.ts";
import {
  CommandError,
  drain,
  endOnAbort,
  keptStderr,
  restOfStderr,
  spawn,
  Tail,
  within,
} from "./run.ts";

/** A program at work. Disposing of it ends it, and waits until it is gone. */
export interface ProgramOutput extends AsyncDisposable {
  /**
   * Its standard output; a program that nobody reads from waits. To be read once, each piece is the
   * reader's to keep.
   *
   * @throws {CommandError} at the end, when the program failed; the signal's reason when that ended it
   */
  readonly bytes: AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/**
 * Start a program.
 *
 * @param argv the program and its arguments; it is looked for in PATH, then in /usr/sbin and /sbin
 * @param options.environment its own, whole; by default the one the caller of this program gave
 * @param options.signal ends it: SIGTERM first, SIGKILL when it is still there five seconds later
 * @throws {EnrootError} code `program-missing` or `command-failed` when it cannot be started
 */
export function readOutput(
  argv: readonly string[],
  options: {
    readonly signal: AbortSignal;
    readonly environment?: Readonly<Record<string, string>>;
  },
): ProgramOutput {
  options.signal.throwIfAborted();
  const child = spawn(argv, options.environment ?? callerEnvironment(), {});
  const disposed = new AbortController();
  const signal = AbortSignal.any([options.signal, disposed.signal]);
  const ending = endOnAbort(child, signal);
  const tail = new Tail(keptStderr);
  const stderr = drain(child.stderr, (chunk) => tail.add(chunk));

  async function* read(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield* child.stdout;
    const status = await child.status;
    await within(restOfStderr, stderr.end);
    signal.throwIfAborted();
    if (!status.success) throw new CommandError(argv, status, tail.text());
  }
  const bytes = read();
  return {
    bytes,
    async [Symbol.asyncDispose]() {
      disposed.abort(new Error("its output is not wanted any more"));
      await child.status;
      ending[Symbol.dispose]();
      await stderr[Symbol.asyncDispose]();
      await bytes.return(undefined);
      // Nobody may have read from it.
      if (!child.stdout.locked) await child.stdout.cancel();
    },
  };
}
