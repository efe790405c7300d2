/**
 * Blobs in use: nobody takes them out of the cache meanwhile.
 *
 * Who uses a blob has its file open with a shared lock, and has made sure afterwards that the file
 * still has its name. Who removes one locks it alone first. So of the two the first one wins: a blob
 * in use is not removed, and one that was removed is not taken for there.
 *
 * @module
 */

import { isStillNamed } from "../../sys/lock.ts";
import { isFree, tryLock } from "./file_lock.ts";

/** How often, and after how many milliseconds each, a blob that is locked alone is looked at again. */
const looks = 40;
const lookEvery = 5;

/** A blob in use, until it is disposed of. */
export class HeldBlob implements Disposable {
  /** Where it is: whole, and not written to any more. */
  readonly path: string;
  /** Whether it was fetched, and by that checked, for this use. */
  readonly isFetched: boolean;
  readonly #file: Deno.FsFile;
  #isOpen = true;

  /** @param file open, with a shared lock where there are locks */
  constructor(path: string, file: Deno.FsFile, isFetched: boolean) {
    this.path = path;
    this.#file = file;
    this.isFetched = isFetched;
  }

  /** Drop it from the cache, because it is damaged; what was put in its place meanwhile stays. */
  discard(): void {
    if (this.#isOpen && isStillNamed(this.#file, this.path)) Deno.removeSync(this.path);
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
  }
}

/**
 * Use a blob.
 *
 * @param size what it must have, in bytes; `undefined`: any
 * @returns to be disposed of; `undefined` when it is not there, or has another size
 * @throws {Error} on any failure but absence
 */
export async function holdBlob(
  path: string,
  size: number | undefined,
): Promise<HeldBlob | undefined> {
  for (let look = 0; look < looks; look++) {
    const file = openIfThere(path, { read: true });
    if (file === undefined) return undefined;
    using undo = new DisposableStack();
    undo.use(file);
    if (size !== undefined && file.statSync().size !== size) return undefined;
    if (tryLock(file, "shared") !== "busy") {
      if (!isStillNamed(file, path)) continue;
      markUsed(file);
      undo.move();
      return new HeldBlob(path, file, false);
    }
    // Whoever has it alone removes it, or only looks whether he could: both take no time.
    await new Promise((resolve) => setTimeout(resolve, lookEvery));
  }
  return undefined;
}

/** Remove a file of the cache unless somebody uses it. @returns whether it is gone */
export function removeUnused(path: string): boolean {
  const file = openIfThere(path, { read: true, write: true });
  if (file === undefined) return true;
  using _open = file;
  if (!isFree(file)) return false;
  if (isStillNamed(file, path)) Deno.removeSync(path);
  return true;
}

/** Open a file; `undefined` when it is not there. */
export function openIfThere(path: string, options: Deno.OpenOptions): Deno.FsFile | undefined {
  try {
    return Deno.openSync(path, options);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** A blob's time is that of its last use: times of reading are kept on few file systems. */
function markUsed(file: Deno.FsFile): void {
  try {
    const now = new Date();
    file.utimeSync(now, now);
  } catch {
    // A cache that cannot be written loses nothing.
  }
}
