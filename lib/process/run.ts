/**
 * Running programs: argument lists, never a shell.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { callerEnvironment } from "./caller.ts";

/** How a program is run. */
export interface RunOptions {
  /** Its environment, whole; by default the one the caller of this program gave. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What it reads from standard input; nothing by default. */
  readonly input?: Uint8Array<ArrayBuffer>;
  /** Takes its standard output as it comes; by default it is returned whole. */
  readonly onText?: (text: string) => void;
  /** Ends it: SIGTERM first, SIGKILL when it is still there five seconds later. */
  readonly signal?: AbortSignal;
}

/** A program that failed. */
export class CommandError extends EnrootError {
  override readonly name = "CommandError";
  readonly argv: readonly string[];
  /** Its exit code; 128 and the signal's number when a signal ended it. */
  readonly exitCode: number;
  /** The end of what it wrote to standard error. */
  readonly stderr: string;

  constructor(argv: readonly string[], exitCode: number, stderr: string) {
    const [program = ""] = argv;
    const said = stderr.trim().split(/\s*[\n\r]+\s*/).slice(-3).join("; ");
    super(
      "command-failed",
      `${program} failed with exit code ${exitCode}${said === "" ? "" : `: ${said}`}`,
    );
    this.argv = argv;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

const killAfter = 5_000;

/** How much of standard error is kept, in bytes: its end tells why. */
const keptStderr = 16_384;

// Which Debian package brings a program, for the advice.
const packages: Readonly<Record<string, string>> = {
  mksquashfs: "squashfs-tools",
  unsquashfs: "squashfs-tools",
  squashfuse: "squashfuse",
  ssh: "openssh-client",
  zfs: "zfsutils-linux",
};

/**
 * Run a program to its end.
 *
 * @param argv the program and its arguments; it is looked for in PATH, then in /usr/sbin and /sbin
 * @returns its standard output, empty when `onText` took it
 * @throws {CommandError} when it fails; {@linkcode EnrootError} code `program-missing` when there is
 * no such program; the signal's reason when it was ended by the signal, once it is gone
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { environment = callerEnvironment(), input, onText, signal } = options;
  signal?.throwIfAborted();
  const [program = "", ...args] = argv;
  const child = new Deno.Command(findProgram(program, environment), {
    args,
    clearEnv: true,
    env: { ...environment, LC_ALL: "C" },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  using _end = endOnAbort(child, signal);
  const decoder = new TextDecoder();
  let output = "";
  const take = onText ?? ((text: string): void => void (output += text));
  const [status, , stderr] = await Promise.all([
    child.status,
    drain(child.stdout, (chunk) => take(decoder.decode(chunk, { stream: true }))),
    tail(child.stderr),
    input === undefined ? undefined : feed(child.stdin, input),
  ]);
  signal?.throwIfAborted();
  if (!status.success) throw new CommandError(argv, status.code, stderr);
  return output;
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

function endOnAbort(child: Deno.ChildProcess, signal: AbortSignal | undefined): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (): void => {
    kill(child, "SIGTERM");
    timer = setTimeout(() => kill(child, "SIGKILL"), killAfter);
  };
  signal?.addEventListener("abort", end);
  return {
    [Symbol.dispose]() {
      signal?.removeEventListener("abort", end);
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

async function feed(stdin: WritableStream<Uint8Array>, input: Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(input);
    await writer.close();
  } catch {
    // It ended without reading all; its exit code says whether that is a failure.
  }
}

async function drain(
  stream: ReadableStream<Uint8Array>,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  for await (const chunk of stream) take(chunk);
}

async function tail(stream: ReadableStream<Uint8Array>): Promise<string> {
  let kept = new Uint8Array();
  await drain(stream, (chunk) => {
    const both = new Uint8Array(kept.length + chunk.length);
    both.set(kept);
    both.set(chunk, kept.length);
    kept = both.subarray(-keptStderr);
  });
  return new TextDecoder().decode(kept);
}
