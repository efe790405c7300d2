/**
 * A place in the root filesystem, on the way along a path.
 *
 * @module
 */

import { close, must, O, openBeneath } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";
import { toCString } from "../tar/byte_string.ts";
import type { Folder } from "./folder.ts";

const self = cstring(".");

/**
 * Open a folder by where it is; nothing on the way may be a symlink.
 *
 * @param root the open root folder
 * @returns the descriptor, or the negative `errno`
 */
export function openFolder(root: number, folder: Folder, flags: number): number {
  const path = folder.parent === undefined ? self : toCString(folder.path);
  return openBeneath(root, path, flags | O.DIRECTORY);
}

/** A folder, and its descriptor once somebody asks for it. Disposing of it closes that. */
export class Cursor implements Disposable {
  readonly #root: number;
  readonly #subject: (folder: Folder) => string;
  #folder: Folder;
  #descriptor: number | undefined;

  /** @param root the open root folder */
  constructor(root: number, top: Folder, subject: (folder: Folder) => string) {
    this.#root = root;
    this.#folder = top;
    this.#subject = subject;
  }

  /** Where it is. */
  get folder(): Folder {
    return this.#folder;
  }

  /** The descriptor of where it is, this one's to close. @throws {SysError} */
  get descriptor(): number {
    return this.#descriptor ??= must(
      openFolder(this.#root, this.#folder, O.PATH),
      "openat2",
      this.#subject(this.#folder),
    );
  }

  /** Go elsewhere. @param descriptor of that folder, when it is open: from here on this one's */
  moveTo(folder: Folder, descriptor?: number): void {
    this[Symbol.dispose]();
    this.#folder = folder;
    this.#descriptor = descriptor;
  }

  /** Hand out the descriptor: from here on it is the caller's. @throws {SysError} */
  take(): number {
    const descriptor = this.descriptor;
    this.#descriptor = undefined;
    return descriptor;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) close(this.#descriptor);
    this.#descriptor = undefined;
  }
}
