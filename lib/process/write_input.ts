/**
 * Feeding a program while something else produces what it reads.
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

/**
 * Run a program to its end on what a source yields.
 *
 * When the source fails its input ends early: the program is left to make of it what it can. When the
 * program fails early the source is not read any further. What it writes to standard output is dropped.
 *
 * @param argv the program and its arguments; it is looked for in PATH, then in /usr/sbin and /sbin
 * @param source asked for the next piece when the program has taken the one before
 * @param options.environment its own, whole; by default the one the caller of this program gave
 * @param options.signal ends it: SIGTERM first, SIGKILL when it is still there five seconds later
 * @returns whether it wanted all of it: otherwise it had enough before the end
 * @throws what the source threw, once the program is gone; {@linkcode CommandError} when it failed;
 * `EnrootError` code `program-missing` or `command-failed`; the signal's reason
 */
export async function writeInput(
  argv: readonly string[],
  source: AsyncIterable<Uint8Array>,
  { signal, environment = callerEnvironment() }: {
    readonly signal: AbortSignal;
    readonly environment?: Readonly<Record<string, string>>;
  },
): Promise<boolean> {
  signal.throwIfAborted();
  const child = spawn(argv, environment, { input: new Uint8Array() });
  using _ending = endOnAbort(child, signal);
  const tail = new Tail(keptStderr);
  await using _stdout = drain(child.stdout, () => {});
  await using stderr = drain(child.stderr, (chunk) => tail.add(chunk));
  const pieces = new Pieces(source);
  await feed(child, pieces);
  const status = await child.status;
  await within(restOfStderr, stderr.end);
  signal.throwIfAborted();
  if (pieces.failure !== undefined) throw pieces.failure.error;
  if (!status.success) throw new CommandError(argv, status, tail.text());
  return await pieces.isAtEnd();
}

/** What a source yields, one piece at a time, none of which gets lost. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #next: Promise<IteratorResult<Uint8Array>> | undefined;
  /** How the source failed. */
  failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next one, which stays the next one until it is taken. `undefined`: there is none. */
  async look(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await (this.#next ??= this.#source.next());
      return done ? undefined : value;
    } catch (error) {
      this.failure = { error };
      return undefined;
    }
  }

  take(): void {
    this.#next = undefined;
  }

  /** Whether nothing more comes. @throws what the source throws */
  async isAtEnd(): Promise<boolean> {
    for (let piece; (piece = await this.look()) !== undefined; this.take()) {
      if (piece.length > 0) return false;
    }
    if (this.failure !== undefined) throw this.failure.error;
    return true;
  }
}

/** Hand on all there is, until it ends or the program has. */
async function feed(child: Deno.ChildProcess, pieces: Pieces): Promise<void> {
  const writer = child.stdin.getWriter();
  let isGone = false;
  let giveUp = (): void => {};
  child.status.then(() => {
    isGone = true;
    giveUp();
  });
  // A race of each piece with one promise for all would keep all of them in memory.
  const look = (): Promise<Uint8Array | undefined> => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    if (isGone) resolve(undefined);
    giveUp = () => resolve(undefined);
    pieces.look().then(resolve);
    return promise;
  };
  for (let piece; (piece = await look()) !== undefined;) {
    // It may end without reading all; its exit code says whether that is a failure.
    if (!await writer.write(piece).then(() => true, () => false)) break;
    pieces.take();
  }
  await writer.close().catch(() => {});
}
