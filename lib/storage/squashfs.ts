/**
 * Squashfs image files, made and unpacked by squashfs-tools.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { CommandError, findProgram, run } from "../process/run.ts";
import { existsSync } from "../sys/exists.ts";
import { mksquashfsFailure } from "./mksquashfs_failure.ts";
import { type UnpackSummary, UnsquashfsReport } from "./unsquashfs_report.ts";

/** What both directions have in common. */
export interface SquashfsOptions {
  /** How many processors to use at most. */
  readonly processors: number;
  /** Ends the program. */
  readonly signal: AbortSignal;
  /** Told how far it is, in units of the program's own. */
  readonly onProgress: (done: number, total: number) => void;
}

/** How a squashfs file is made. */
export interface MakeOptions extends SquashfsOptions {
  /** `ENROOT_SQUASH_OPTIONS`, in words. */
  readonly extra: readonly string[];
  /** Noted in the file as the time it was made, seconds since the epoch; absent: now. */
  readonly madeAt?: number;
  /** Paths below the root folder that are left out; no wildcards. */
  readonly leaveOut?: readonly string[];
}

// Squashfs 4.0 superblock: magic at 0, modification time at 8, all little-endian.
const magic = "hsqs";
const timeOffset = 8;

/** How much is kept of the beginning of what `mksquashfs` says, in characters. */
const keptBeginning = 4096;

/** What `unsquashfs` ends with when something could not be made, but most could. */
const partialExitCode = 2;

/** How a squashfs file is unpacked. */
export interface UnpackOptions extends SquashfsOptions {
  /**
   * The words in front of the program that run it as root of a user namespace: `unsquashfs` drops
   * set-id bits when it does not believe to be root, and in a namespace it makes no devices and gives
   * nothing away to other users. Empty: it runs as the caller, and what it may do it does.
   */
  readonly asRoot: readonly string[];
}

/** Whether a file begins as a squashfs does. @throws {EnrootError} when it cannot be read */
export async function isSquashfs(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    const start = new Uint8Array(magic.length);
    const length = await file.read(start) ?? 0;
    return new TextDecoder().decode(start.subarray(0, length)) === magic;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * Make sure that squashfs files can be made at all, before anything is fetched and extracted for one.
 *
 * @throws {EnrootError} code `program-missing`
 */
export function assertMksquashfs(): void {
  findProgram("mksquashfs");
}

/**
 * Make a squashfs file of a folder. All files in it belong to root.
 *
 * @param root the folder
 * @param output the file, which is replaced; on failure its content is of no use
 * @throws {EnrootError} code `bad-squash-options` or `pack-failed`, with what `mksquashfs` said
 */
export async function makeSquashfs(
  root: string,
  output: string,
  options: MakeOptions,
): Promise<void> {
  const { extra, processors, madeAt } = options;
  // mksquashfs refuses to leave out what is not there.
  const leaveOut = (options.leaveOut ?? []).map((path) => `${root}/${path}`).filter(existsSync);
  let said = "";
  try {
    await run(
      [
        ...["mksquashfs", root, output, "-noappend", "-all-root", "-progress"],
        ...["-processors", String(processors), ...extra],
        // The list of names must come last.
        ...(leaveOut.length > 0 ? ["-e", ...leaveOut] : []),
      ],
      {
        signal: options.signal,
        onText: progressReader(options.onProgress),
        onErrorText(text) {
          if (said.length < keptBeginning) said += text;
        },
      },
    );
  } catch (error) {
    throw error instanceof CommandError ? mksquashfsFailure(error, said, extra) : error;
  }
  if (madeAt !== undefined) stamp(output, madeAt);
}

/**
 * Unpack a squashfs file into a folder. Device nodes that may not be made are left out, and so are
 * extended attributes that cannot be set.
 *
 * @param file the squashfs file
 * @param root an empty folder; on failure it holds a part of the image
 * @throws {EnrootError} code `not-squashfs` when it is none, `unpack-failed` with what
 * `unsquashfs` said when it is damaged or there is no room
 */
export async function unpackSquashfs(
  file: string,
  root: string,
  options: UnpackOptions,
): Promise<UnpackSummary> {
  if (!await isSquashfs(file)) {
    throw new EnrootError("not-squashfs", `${file} is no squashfs image`);
  }
  const report = new UnsquashfsReport();
  try {
    await run(
      [
        ...[...options.asRoot, "unsquashfs", "-force", "-user-xattrs"],
        ...["-processors", String(options.processors), "-dest", root, file],
      ],
      {
        signal: options.signal,
        onText: progressReader(options.onProgress),
        onErrorText: (text) => report.add(text),
      },
    );
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const summary = error.exitCode === partialExitCode ? report.end() : undefined;
    if (summary !== undefined) return summary;
    // What stands in front of it has become it.
    const { argv, exitCode: code, signal, stderr } = error;
    const { message } = new CommandError(
      argv.slice(options.asRoot.length),
      { code, signal },
      stderr,
    );
    throw new EnrootError("unpack-failed", `cannot unpack ${file}: ${message}`, { cause: error });
  }
  // Versions before 4.4 do not tell by their exit code.
  return report.end() ?? { skippedDevices: 0, skippedXattrs: 0 };
}

/** The same content makes the same file, whenever it is made. */
function stamp(path: string, seconds: number): void {
  using file = Deno.openSync(path, { write: true });
  const field = new Uint8Array(4);
  new DataView(field.buffer).setUint32(0, seconds >>> 0, true);
  file.seekSync(timeOffset, Deno.SeekMode.Start);
  file.writeSync(field);
}

/** Both programs draw `[===  ] DONE/TOTAL  PERCENT%` over and over; the last one counts. */
function progressReader(
  onProgress: (done: number, total: number) => void,
): (text: string) => void {
  return (text) => {
    const [, done, total] = [...text.matchAll(/\]\s*(\d+)\/(\d+)\s+\d+%/g)].at(-1) ?? [];
    if (done !== undefined && total !== undefined) onProgress(Number(done), Number(total));
  };
}

function unreadable(path: string, error: unknown): EnrootError {
  return error instanceof Deno.errors.NotFound
    ? new EnrootError("not-found", `${path}: no such image file`)
    : new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
}
