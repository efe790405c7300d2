/**
 * Running programs from tests: arguments as an array, output as text, a failure that shows itself.
 *
 * @module
 */

/** How a program ended and what it said. */
export interface Result {
  /** Its exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  /** The signal that ended it, `null` when none did. */
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program is given. */
export interface Options {
  readonly cwd?: string | URL;
  /** Variables on top of this process's own; with {@linkcode clearEnv} the only ones. */
  readonly env?: Record<string, string>;
  readonly clearEnv?: boolean;
  /** Whom it runs as, without any other groups; only root can say so. */
  readonly uid?: number;
  readonly gid?: number;
  /** Its standard input; none when absent. */
  readonly input?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** Run a program to its end, whatever that is. @param argv the program and its arguments */
export async function attempt(argv: readonly string[], options: Options = {}): Promise<Result> {
  const { input, ...rest } = options;
  const child = spawn(argv, { ...rest, stdin: input === undefined ? "null" : "piped" });
  const [, { code, signal, stdout, stderr }] = await Promise.all([
    input === undefined ? undefined : feed(child.stdin, input),
    child.output(),
  ]);
  return { code, signal, stdout: text(stdout), stderr: text(stderr) };
}

/** Run a program that must succeed, for what it prints. @throws {Error} with its stderr otherwise */
export async function run(argv: readonly string[], options: Options = {}): Promise<string> {
  const result = await attempt(argv, options);
  if (result.code !== 0) throw failure(argv, result);
  return result.stdout;
}

/** Run a program that must succeed, for the bytes it prints. @throws {Error} with its stderr otherwise */
export async function runForBytes(
  argv: readonly string[],
  options: Omit<Options, "input"> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { code, signal, stdout, stderr } = await spawn(argv, { ...options, stdin: "null" })
    .output();
  if (code !== 0) throw failure(argv, { code, signal, stdout: "", stderr: text(stderr) });
  return stdout;
}

/** Start a program with piped output. @param argv the program and its arguments */
export function spawn(
  argv: readonly string[],
  options: Omit<Options, "input"> & { readonly stdin?: "piped" | "null" } = {},
): Deno.ChildProcess {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("no program to run");
  // A signal that was given before has no effect on what is started after it.
  options.signal?.throwIfAborted();
  return new Deno.Command(program, { stdout: "piped", stderr: "piped", ...options, args }).spawn();
}

/** Send a signal to a program that may have ended by itself. */
export function end(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended: there is nobody to tell.
  }
}

async function feed(
  stdin: WritableStream<Uint8Array<ArrayBufferLike>>,
  input: string | Uint8Array,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
    await writer.close();
  } catch {
    // A program may end without reading all that it is given.
  }
}

function failure(argv: readonly string[], { code, signal, stderr }: Result): Error {
  const end = signal === null ? `ended with ${code}` : `was ended by ${signal}`;
  return new Error(`${argv.join(" ")} ${end}${stderr.trim() === "" ? "" : `:\n${stderr.trim()}`}`);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
