/**
 * What serves an image file to a container that is started from it, where images are files: `squashfuse`,
 * and, where the kernel's overlay is not to be used, `fuse-overlayfs` on top.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { findProgram } from "../process/run.ts";
import { AT, close, must, O, openAt } from "../sys/at.ts";
import { execve, keepOnExec } from "../sys/exec.ts";
import { cstring } from "../sys/libc.ts";
import { changeFolder, mount, MS } from "../sys/mount.ts";
import { runToEnd } from "../sys/spawn.ts";

/** How an image is to be served. */
export interface ImageServerOptions {
  /** The image file, absolute. */
  readonly image: string;
  /** Where it is mounted: the runtime path. */
  readonly place: string;
  /** Whether writes go to an overlay of the kernel's, which is not the server's. */
  readonly isNative: boolean;
  /** The arguments that run {@linkcode serveOverlay} in this program. */
  readonly overlayStage: readonly string[];
}

/**
 * The program that serves an image, with its arguments.
 *
 * @throws {EnrootError} code `program-missing`, naming the package, or `no-fuse`
 */
export function imageServer(
  { image, place, isNative, overlayStage }: ImageServerOptions,
): readonly string[] {
  const squashfuse = findSquashfuse();
  const overlay = isNative ? undefined : findProgram("fuse-overlayfs");
  checkFuse("/dev/fuse");
  return overlay === undefined
    ? [squashfuse, "-f", ...squashfuseOptions, image, place]
    : [...overlayStage, squashfuse, overlay, image, place];
}

/**
 * Serve an image with an overlay on it: this process becomes `fuse-overlayfs`. What is written is kept on
 * a tmpfs, which goes with it.
 *
 * @returns only when `squashfuse` fails, which has said why: with its exit code
 * @throws {SysError} when something else does
 */
export function serveOverlay(
  [squashfuse, overlay, image, place]: readonly [string, string, string, string],
  environment: Readonly<Record<string, string>>,
): number {
  // The mount may hide it.
  const file = must(openAt(AT.FDCWD, cstring(image), O.RDONLY), "open", image);
  keepOnExec(file);
  mount({ source: "tmpfs", target: place, type: "tmpfs", flags: MS.NOSUID | MS.NODEV });
  changeFolder(place);
  for (const name of ["lower", "upper", "work"]) Deno.mkdirSync(name);
  // Without -f it ends when it has mounted, and goes on in the background.
  const argv = [squashfuse, ...squashfuseOptions, `/proc/self/fd/${file}`, `${place}/lower`];
  const { exitCode = 1 } = runToEnd(squashfuse, argv, environment);
  if (exitCode !== 0) return exitCode;
  close(file);
  likeLower("lower", "upper");
  const options = "lowerdir=lower,upperdir=upper,workdir=work";
  execve(overlay, [overlay, "-f", "-o", options, place], environment);
}

/** Make a folder on top what the one below is, which is what an overlay shows of its root. */
export function likeLower(lower: string, upper: string): void {
  const { mode, mtime } = Deno.statSync(lower);
  Deno.chmodSync(upper, (mode ?? 0o755) & 0o7777);
  if (mtime !== null) Deno.utimeSync(upper, mtime, mtime);
}

const squashfuseOptions = ["-o", "ro,nosuid,nodev"];

/** The one that works by inodes keeps hard links, and lets the kernel remember what it was told. */
function findSquashfuse(): string {
  try {
    return findProgram("squashfuse_ll");
  } catch {
    return findProgram("squashfuse");
  }
}

/** Make sure that file systems in user space can be had. @throws {EnrootError} code `no-fuse` */
export function checkFuse(device: string): void {
  try {
    Deno.openSync(device, { read: true, write: true }).close();
  } catch (error) {
    const [what, remedy] = error instanceof Deno.errors.NotFound
      ? ["is missing", "modprobe fuse"]
      : ["cannot be opened", `chmod 666 ${device}`];
    throw new EnrootError(
      "no-fuse",
      `cannot start an image file: ${device} ${what}: as root, run '${remedy}', or make a container of ` +
        "the image with 'enroot create'",
      { cause: error },
    );
  }
}
