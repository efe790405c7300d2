/**
 * Running programs: argument lists, never a shell.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { noticeChildren } from "../sys/exec.ts";
import { signalNames } from "../sys/signal_names.ts";
import { collectOutput } from "../sys/spawn.ts";
import { callerEnvironment, callerState } from "./caller.ts";

/** How a program is run. */
export interface RunOptions {
  /** Its environment, whole; by default the one the caller of this program gave. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it reads from standard input; nothing by default. */
  readonly input?: Uint8Array<ArrayBuffer>;
  /** Takes its standard output as it comes; by default it is returned whole. */
  readonly onText?: (text: string) => void;
  /** Told its standard error as it comes. */
  readonly onErrorText?: (text: string) => void;
  /** Ends it: SIGTERM first, SIGKILL when it is still there five seconds later. */
  readonly signal?: AbortSignal;
}

/** A program that failed. */
export class CommandError extends EnrootError {
  override readonly name = "CommandError";
  readonly argv: readonly string[];
  /** Its exit code; 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  /** What ended it, when that was a signal: SIGKILL is mostly the kernel's, out of memory. */
  readonly signal: Deno.Signal | null;
  /** The end of what it wrote to standard error. */
  readonly stderr: string;
  /** What it wrote to standard output all the same, unless `onText` took it. */
  readonly stdout: string;

  constructor(
    argv: readonly string[],
    { code, signal }: Pick<Deno.CommandStatus, "code" | "signal">,
    stderr: string,
    stdout = "",
  ) {
    const [program = ""] = argv;
    const said = stderr.trim().split(/\s*[\n\r]+\s*/).slice(-3).join("; ");
    super(
      "command-failed",
      (signal === null
        ? `${program} failed with exit code ${code}`
        : `${program} was ended by ${signal}`) + (said === "" ? "" : `: ${said}`),
    );
    this.argv = argv;
    this.exitCode = code;
    this.signal = signal;
    this.stderr = stderr;
    this.stdout = stdout;
  }
}

const killAfter = 5_000;
const SIGCHLD = 17;

/** How long the rest of standard error is waited for once a program is gone, in milliseconds. */
export const restOfStderr = 1_000;

/** How much of standard error is kept, in bytes: its end tells why. */
export const keptStderr = 16_384;

// Which Debian package brings a program, for the advice.
const packages: Readonly<Record<string, string>> = {
  bash: "bash",
  docker: "docker.io",
  "fuse-overlayfs": "fuse-overlayfs",
  podman: "podman",
  mksquashfs: "squashfs-tools",
  unsquashfs: "squashfs-tools",
  squashfuse: "squashfuse",
  ssh: "openssh-client",
  zfs: "zfsutils-linux",
};

/**
 * Run a program to its end.
 *
 * What it leaves running in the background is waited for only while that holds its standard output,
 * and no longer than the signal allows.
 *
 * @param argv the program and its arguments; it is looked for in PATH, then in /usr/sbin and /sbin
 * @returns its standard output, empty when `onText` took it
 * @throws {CommandError} when it fails; {@linkcode EnrootError} code `program-missing` when there is
 * no such program, `command-failed` when it cannot be started; the signal's reason when it was ended
 * by the signal, and what `onText` throws, both once it is gone
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { environment = callerEnvironment(), input, onText, signal } = options;
  signal?.throwIfAborted();
  const child = spawn(argv, environment, options);
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  using _end = endOnAbort(child, stop);
  const decoder = new TextDecoder();
  let output = "";
  const take = onText ?? ((text: string): void => void (output += text));
  const tail = new Tail(keptStderr);
  await using stdout = drain(child.stdout, (chunk) => {
    try {
      take(decoder.decode(chunk, { stream: true }));
    } catch (error) {
      failed.abort(error);
    }
  });
  const errorDecoder = new TextDecoder();
  await using stderr = drain(child.stderr, (chunk) => {
    tail.add(chunk);
    options.onErrorText?.(errorDecoder.decode(chunk, { stream: true }));
  });
  await using _fed = feed(child, input);
  const status = await child.status;
  await Promise.race([stdout.end, aborted(stop)]);
  // A program that goes on in the background, as a shared ssh connection does, may hold this one.
  await within(restOfStderr, Promise.race([stderr.end, aborted(stop)]));
  stop.throwIfAborted();
  const rest = decoder.decode();
  if (rest !== "") take(rest);
  if (!status.success) throw new CommandError(argv, status, tail.text(), output);
  return output;
}

/**
 * Start a program with its output piped, its environment whole and without a language.
 *
 * @throws {EnrootError} code `program-missing` or `command-failed`
 */
export function spawn(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  { cwd, input }: Pick<RunOptions, "cwd" | "input">,
): Deno.ChildProcess {
  const { path, command } = prepare(argv, environment, {
    ...(cwd === undefined ? {} : { cwd }),
    stdin: input === undefined ? "null" : "piped",
  });
  try {
    return command.spawn();
  } catch (error) {
    throw cannotStart(path, error);
  }
}

/**
 * Run a program that is soon over, says little, and leaves nothing running: it cannot be ended, and
 * all it writes is kept. Unlike {@linkcode run} it does not load the runtime's streams, which takes
 * longer than such a program.
 *
 * @param argv the program and its arguments, looked for as by {@linkcode run}
 * @param environment its own, whole
 * @returns its standard output
 * @throws {CommandError} when it fails; {@linkcode EnrootError} code `program-missing` or
 * `command-failed`
 */
export async function runBriefly(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const [program = ""] = argv;
  const path = findProgram(program, environment);
  let output: Awaited<ReturnType<typeof collectOutput>>;
  if (callerState().ignoredSignals.has(SIGCHLD)) noticeChildren();
  try {
    output = await collectOutput(path, argv, { ...environment, LC_ALL: "C" });
  } catch (error) {
    throw cannotStart(path, error);
  }
  const decoder = new TextDecoder();
  const stdout = decoder.decode(output.stdout);
  const { exitCode, signal } = output;
  if (exitCode === 0) return stdout;
  const ending = signal === undefined
    ? { code: exitCode, signal: null }
    : { code: 128 + signal, signal: signalNames[signal] ?? null };
  throw new CommandError(argv, ending, decoder.decode(output.stderr.subarray(-keptStderr)), stdout);
}

function prepare(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  more: Pick<Deno.CommandOptions, "cwd" | "stdin">,
): { path: string; command: Deno.Command } {
  const [program = "", ...args] = argv;
  const path = findProgram(program, environment);
  const command = new Deno.Command(path, {
    args,
    clearEnv: true,
    env: { ...environment, LC_ALL: "C" },
    ...more,
    stdout: "piped",
    stderr: "piped",
  });
  return { path, command };
}

function cannotStart(path: string, error: unknown): EnrootError {
  return new EnrootError("command-failed", `cannot start ${path}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/**
 * Where a program is: an absolute path.
 *
 * @throws {EnrootError} code `program-missing`, with the package that brings it where known
 */
export function findProgram(
  program: string,
  environment: Readonly<Record<string, string>> = callerEnvironment(),
): string {
  if (program.startsWith("/")) return program;
  const folders = [...(environment["PATH"] ?? "/usr/bin:/bin").split(":"), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    // An empty or relative part of PATH would mean the current folder: whatever lies there.
    if (!folder.startsWith("/")) continue;
    try {
      const path = `${folder}/${program}`;
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // Not here.
    }
  }
  const from = packages[program];
  throw new EnrootError(
    "program-missing",
    `the program '${program}' is not installed${from === undefined ? "" : `: install ${from}`}`,
  );
}

/** End a program when the signal says so: SIGTERM, and five seconds later SIGKILL. */
export function endOnAbort(child: Deno.ChildProcess, signal: AbortSignal): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    kill(child, "SIGTERM");
    timer = setTimeout(() => kill(child, "SIGKILL"), killAfter);
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    [Symbol.dispose]() {
      signal.removeEventListener("abort", end);
      clearTimeout(timer);
    },
  };
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended by itself.
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Wait for work, but no longer than this. */
export async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}

/** Write the input and close it; disposing gives up what nobody reads any more. */
function feed(child: Deno.ChildProcess, input: Uint8Array | undefined): AsyncDisposable {
  if (input === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const writer = child.stdin.getWriter();
  // It may end without reading all; its exit code says whether that is a failure.
  const fed = writer.write(input).then(() => writer.close()).catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      await writer.abort().catch(() => {});
      await fed;
    },
  };
}

/** Read a stream; disposing stops it, whoever still has its other end. */
export function drain(
  stream: ReadableStream<Uint8Array>,
  take: (chunk: Uint8Array) => void,
): AsyncDisposable & { readonly end: Promise<void> } {
  const reader = stream.getReader();
  const end = (async (): Promise<void> => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) take(part.value);
  })();
  // Whoever waits for the end is told of a failure; until then it is nobody's.
  end.catch(() => {});
  return {
    end,
    async [Symbol.asyncDispose]() {
      await reader.cancel().catch(() => {});
      await end.catch(() => {});
    },
  };
}

/** The last bytes of many. */
export class Tail {
  readonly #size: number;
  #kept = new Uint8Array();

  constructor(size: number) {
    this.#size = size;
  }

  add(chunk: Uint8Array): void {
    const both = new Uint8Array(this.#kept.length + chunk.length);
    both.set(this.#kept);
    both.set(chunk, this.#kept.length);
    this.#kept = both.subarray(-this.#size);
  }

  text(): string {
    return new TextDecoder().decode(this.#kept);
  }
}
