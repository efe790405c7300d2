/**
 * The digest of an image file, computed once.
 *
 * A job that makes a container of a file of many gigabytes must not read all of it each time. What a
 * file hashed to is kept by its device and inode, together with its size and its times; the time of
 * its last change is the kernel's own, so a file that was written to is hashed again.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { createSha256 } from "../std/node.ts";
import { AT, close, itself, must, O, openAt, type Stat, statAt } from "../sys/at.ts";
import { cstring, SysError } from "../sys/libc.ts";

/** How a file is hashed. */
export interface DigestOptions {
  /** Where digests are kept; made when it is missing. */
  readonly memory: string;
  readonly signal: AbortSignal;
  /** Told how far it is, in bytes. */
  readonly onProgress: (done: number, total: number) => void;
}

const pieceSize = 1 << 20;

/** A file that was changed this recently may change again within one tick of the clock. */
const settled = 2_000_000_000n;

/**
 * The sha256 of a file as 64 hex digits.
 *
 * @param path absolute
 * @throws {EnrootError} code `cannot-read` when it cannot be read or changes meanwhile; the signal's
 * reason
 */
export async function digestOfFile(path: string, options: DigestOptions): Promise<string> {
  const { memory, signal, onProgress } = options;
  try {
    const before = facts(path);
    const known = recall(memory, before);
    if (known !== undefined) return known;
    const digest = await hash(path, Number(before.size), signal, onProgress);
    if (identity(facts(path)) !== identity(before)) {
      throw new EnrootError("cannot-read", `${path} changed while it was read: try again`);
    }
    if (BigInt(Date.now()) * 1_000_000n - before.changed > settled) {
      remember(memory, before, digest);
    }
    return digest;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EnrootError && !(error instanceof SysError)) throw error;
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function hash(
  path: string,
  total: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<string> {
  using file = await Deno.open(path);
  const sum = createSha256();
  const piece = new Uint8Array(pieceSize);
  for (let done = 0;;) {
    signal.throwIfAborted();
    const length = await file.read(piece);
    if (length === null) return sum.digest("hex");
    sum.update(piece.subarray(0, length));
    onProgress(done += length, total);
  }
}

function facts(path: string): Stat {
  const file = must(openAt(AT.FDCWD, cstring(path), O.PATH), "open", path);
  const found = statAt(file, itself);
  close(file);
  if (typeof found === "number") throw new SysError("statx", -found, path);
  return found;
}

function identity({ size, seconds, nanoseconds, changed }: Stat): string {
  return `${size} ${seconds}.${nanoseconds} ${changed}`;
}

function fileOf(memory: string, { device, inode }: Stat): string {
  return `${memory}/${device.toString(16)}-${inode}`;
}

function recall(memory: string, stat: Stat): string | undefined {
  try {
    const [known, digest = ""] = Deno.readTextFileSync(fileOf(memory, stat)).split("\n");
    return known === identity(stat) && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
  } catch {
    return undefined;
  }
}

/** What cannot be kept is computed again. */
function remember(memory: string, stat: Stat, digest: string): void {
  const path = fileOf(memory, stat);
  const partial = `${path}.${crypto.randomUUID()}`;
  try {
    Deno.mkdirSync(memory, { recursive: true, mode: 0o700 });
    Deno.writeTextFileSync(partial, `${identity(stat)}\n${digest}\n`, { createNew: true });
    Deno.renameSync(partial, path);
  } catch {
    try {
      Deno.removeSync(partial);
    } catch {
      // It was never there.
    }
  }
}
