/**
 * Blobs in the making: `<hex>.partial`, locked by the process that fetches.
 *
 * What arrived stays when the process ends, however it ends, and the next one that wants the blob
 * goes on from there. Who waits in vain for a process that is stopped, or served slowly, has a file of
 * another name, one level further: `<hex>.<level>.partial`. On a file system without locks nobody could know whether somebody is still at
 * work: there each process has a file of its own, `<hex>.<unique>.partial`, and begins anew.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { removeIfThere } from "../../sys/exists.ts";
import { isStillNamed } from "../../sys/lock.ts";
import { tryLock } from "./file_lock.ts";
import { HeldBlob } from "./held_blob.ts";

/** How often a file is opened that has another name when it is locked. */
const tries = 100;

const openAs: Deno.OpenOptions = { read: true, write: true, mode: 0o644 };

/** A partial file that is this process's alone until it is disposed of. */
export class PartialBlob implements Disposable {
  /** Open for reading and writing, at its beginning. */
  readonly file: Deno.FsFile;
  /** Its name, until it is published. */
  readonly path: string;
  readonly #isShared: boolean;
  #isOurs = true;

  private constructor(path: string, file: Deno.FsFile, isShared: boolean) {
    this.path = path;
    this.file = file;
    this.#isShared = isShared;
  }

  /**
   * The partial file of a blob.
   *
   * @param blob the blob's path
   * @param level how many of those who fetch it already are too slow to be waited for; what is left of
   * a level above 0 is removed
   * @returns `undefined` when another process has it
   * @throws {Error} when the folder cannot be written
   */
  static open(blob: string, level = 0): PartialBlob | undefined {
    const path = partialPath(blob, level);
    for (let attempt = 0; attempt < tries; attempt++) {
      removeLink(path);
      const file = Deno.openSync(path, { ...openAs, create: true });
      using undo = new DisposableStack();
      undo.use(file);
      const lock = tryLock(file, "exclusive");
      if (lock === "busy") return undefined;
      if (lock === "unsupported") {
        removeIfThere(path);
        return PartialBlob.#openOwn(blob);
      }
      // Its name may have gone to the finished blob between the opening and the lock.
      if (!isStillNamed(file, path)) continue;
      undo.move();
      return new PartialBlob(path, file, level === 0);
    }
    throw new EnrootError("bad-cache", `${path} is another file each time: remove it`);
  }

  /** A partial file that no other process looks for. */
  static #openOwn(blob: string): PartialBlob {
    const path = `${blob}.${crypto.randomUUID()}.partial`;
    const file = Deno.openSync(path, { ...openAs, createNew: true });
    return new PartialBlob(path, file, false);
  }

  /**
   * Give it the blob's name, because it is whole and checked.
   *
   * @returns the blob, in use; `undefined` when another process got hold of the file in this moment
   */
  publish(blob: string): HeldBlob | undefined {
    // From alone to shared a lock is let go of for a moment.
    if (tryLock(this.file, "shared") === "busy") {
      this.#isOurs = false;
      this.file.close();
      return undefined;
    }
    Deno.renameSync(this.path, blob);
    this.#isOurs = false;
    return new HeldBlob(blob, this.file, true);
  }

  /** What arrived stays for the next process, if anything did. */
  [Symbol.dispose](): void {
    if (!this.#isOurs) return;
    this.#isOurs = false;
    if (!this.#isShared || this.file.statSync().size === 0) removeIfThere(this.path);
    this.file.close();
  }
}

/** Where a blob grows that several processes may want. @param level as {@linkcode PartialBlob.open} */
export function partialPath(blob: string, level = 0): string {
  if (level === 0) return `${blob}.partial`;
  return `${blob}.00000000-0000-4000-8000-${String(level).padStart(12, "0")}.partial`;
}

/** What is opened to be written is never what somebody's link leads to. */
function removeLink(path: string): void {
  try {
    if (Deno.lstatSync(path).isSymlink) removeIfThere(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
