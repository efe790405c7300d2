/**
 * `zfs send` and `zfs receive`.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { type ProgramOutput, readOutput } from "../process/read_output.ts";
import { runBriefly } from "../process/run.ts";
import { writeInput } from "../process/write_input.ts";
import type { SnapshotName } from "./dataset.ts";
import { type Properties, withZfsPath, zfsEnvironment, zfsError } from "./zfs.ts";

/** What is sent. */
export type Sending =
  | {
    readonly snapshot: SnapshotName;
    /** Only the difference to this one: an earlier one of the same dataset, or its origin. */
    readonly from?: SnapshotName;
    /** As a package, with the properties of the dataset and the snapshot. */
    readonly withProperties?: boolean;
  }
  | {
    /** The rest of what was not received whole; the other end gave it. */
    readonly token: ResumeToken;
  };

declare const kind: unique symbol;

/** `receive_resume_token`: where a transfer that was cut is to go on. */
export type ResumeToken = string & { readonly [kind]: "resume-token" };

/** How a stream is received. */
export interface Receiving {
  /** A new dataset, and what its snapshot will be called. */
  readonly target: SnapshotName;
  /** What it is the difference to, here. */
  readonly origin?: SnapshotName | undefined;
  /** User properties. */
  readonly properties?: Properties;
  /** When it is cut, what came is kept under the target's name, with a token. */
  readonly isResumable: boolean;
  /** A mount point in the stream is not taken over; who is not root could not set one. */
  readonly isRoot: boolean;
}

/**
 * The text as a token.
 *
 * @throws {EnrootError} code `bad-stream`
 */
export function parseResumeToken(text: string): ResumeToken {
  // zfs_send_resume_token_to_nvlist: version, checksum, length, and a compressed list in hex.
  if (/^1-[0-9a-f]{1,16}-[0-9a-f]{1,16}-[0-9a-f]{2,4096}$/.test(text)) return text as ResumeToken;
  throw new EnrootError("bad-stream", `'${text.slice(0, 40)}' is no token to resume a transfer by`);
}

/**
 * The command that sends. Blocks go as they are stored: large, embedded, compressed; whoever resumes gets
 * what the token says.
 */
export function sendArgv(sending: Sending): string[] {
  if ("token" in sending) return ["zfs", "send", "-t", sending.token];
  const { snapshot, from, withProperties = false } = sending;
  return [
    ...["zfs", "send", "-L", "-e", "-c"],
    ...(withProperties ? ["-p"] : []),
    ...(from === undefined ? [] : ["-i", from]),
    snapshot,
  ];
}

/** The command that receives: never mounted, now or at boot. */
export function receiveArgv(
  { target, origin, properties = {}, isResumable, isRoot }: Receiving,
): string[] {
  const options = Object.entries({ canmount: "noauto", ...properties });
  return [
    ...["zfs", "receive", "-u"],
    ...(isResumable ? ["-s"] : []),
    ...options.flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    ...(origin === undefined ? [] : ["-o", `origin=${origin}`]),
    ...(isRoot ? ["-x", "mountpoint"] : []),
    target,
  ];
}

/** What `zfs send` says that it would send. */
export interface Estimate {
  /** About how many bytes. */
  readonly size: number;
  /** The snapshot that a token names. */
  readonly snapshot: string | undefined;
}

/** Parse what `zfs send -n -v -P` prints. */
export function parseEstimate(output: string): Estimate {
  const size = Number(/^size\t(\d+)$/m.exec(output)?.[1] ?? 0);
  // nvlist_print(3) of a token's list.
  return { size, snapshot: /^\s*toname = (.+)$/m.exec(output)?.[1] };
}

/** Ask how much would be sent. @throws {ZfsError} also when a token fits nothing that is there */
export async function estimateSend(sending: Sending): Promise<Estimate> {
  const [zfs = "", send = "", ...rest] = sendArgv(sending);
  try {
    const argv = withZfsPath([zfs, send, "-n", "-v", "-P", ...rest]);
    return parseEstimate(await runBriefly(argv, zfsEnvironment));
  } catch (error) {
    throw zfsError(error);
  }
}

/**
 * Begin to send.
 *
 * @returns its bytes throw a {@linkcode ZfsError} at the end when it failed
 * @throws {EnrootError} code `program-missing` or `command-failed`
 */
export function openSend(sending: Sending, signal: AbortSignal): ProgramOutput {
  const argv = withZfsPath(sendArgv(sending));
  const output = readOutput(argv, { signal, environment: zfsEnvironment });
  return {
    bytes: ofZfs(output.bytes),
    [Symbol.asyncDispose]: () => output[Symbol.asyncDispose](),
  };
}

async function* ofZfs<T>(bytes: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* bytes;
  } catch (error) {
    throw zfsError(error);
  }
}

/**
 * Receive a stream, to its end. When that fails nothing is left, unless it is resumable, or code is
 * `bad-stream`.
 *
 * @throws {ZfsError}; {@linkcode EnrootError} code `bad-stream` when there is more than a stream; what the source throws; the signal's reason
 */
export async function receive(
  receiving: Receiving,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  try {
    const argv = withZfsPath(receiveArgv(receiving));
    if (await writeInput(argv, source, { signal, environment: zfsEnvironment })) return;
  } catch (error) {
    signal.throwIfAborted();
    throw zfsError(error);
  }
  throw new EnrootError(
    "bad-stream",
    "this is no ZFS stream of a container: it goes on after its end",
  );
}
