/**
 * Taking away what lower layers brought, and only that.
 *
 * @module
 */

import { AT, close, E, must, namesIn, O, openAt, S, statAt, unlinkAt } from "../sys/at.ts";
import { type CString, SysError } from "../sys/libc.ts";
import { removeTreeAt } from "../sys/remove_tree.ts";
import { type ByteString, byteString, toCString } from "../tar/byte_string.ts";
import { TarError } from "../tar/entry.ts";
import type { Folder } from "./folder.ts";
import type { Folders, OpenFolder } from "./folders.ts";

/** The most names that are remembered. */
const maxBrought = 2 ** 22;

const folderFlags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;

/**
 * Knows what this layer brought, so that the rest can be told from it.
 *
 * Its memory grows by about a hundred bytes for each entry in a folder of the lower layers.
 */
export class LowerContent {
  readonly #folders: Folders;
  readonly #onStep: () => void;
  readonly #brought = new Set<string>();

  /** @param onStep called before each removal; what it throws ends the work */
  constructor(folders: Folders, onStep: () => void) {
    this.#folders = folders;
    this.#onStep = onStep;
  }

  /** Note that this layer brings a name. @throws {TarError} when there are too many to remember */
  note({ folder }: OpenFolder, name: ByteString): void {
    if (folder.isNew) return;
    if (this.#brought.size === maxBrought) {
      throw new TarError(`more than ${maxBrought} entries are in folders of the lower layers`);
    }
    this.#brought.add(`${folder.id}/${name}`);
  }

  /** Remove a name as far as it is of lower layers; nothing happens when it is not there. */
  remove({ descriptor, folder }: OpenFolder, name: ByteString): void {
    if (folder.isNew) return;
    this.#remove(descriptor, folder, toCString(name));
    this.#folders.forget();
  }

  /** Remove all of a folder's content that is of lower layers. */
  clear({ descriptor, folder }: OpenFolder): void {
    if (folder.isNew) return;
    const readable = must(
      openAt(descriptor, new Uint8Array([46, 0]), folderFlags),
      "open",
      this.#folders.subject(folder.path),
    );
    try {
      this.#clear(readable, folder);
    } finally {
      close(readable);
    }
    this.#folders.forget();
  }

  /** @returns whether nothing is left */
  #clear(descriptor: number, folder: Folder): boolean {
    const subject = this.#folders.subject(folder.path);
    const names = namesIn(descriptor);
    if (typeof names === "number") throw new SysError("getdents", -names, subject);
    return names.filter((name) => !this.#remove(descriptor, folder, name)).length === 0;
  }

  /** @returns whether it is gone */
  #remove(parent: number, folder: Folder, name: CString): boolean {
    this.#onStep();
    const text = byteString(name.subarray(0, -1));
    const subject = this.#folders.subject(
      folder.path === "" ? text : `${folder.path}/${text}`,
    );
    const isBrought = this.#brought.has(`${folder.id}/${text}`);
    const found = statAt(parent, name);
    if (found === -E.NOENT) return true;
    if (typeof found === "number") throw new SysError("statx", -found, subject);
    const below = (found.mode & S.IFMT) === S.IFDIR ? folder.child(text) : undefined;
    if (below === undefined) {
      if (!isBrought) removeTreeAt(parent, name, subject, this.#onStep);
      return !isBrought;
    }
    if (below.isNew) return false;
    // A folder that this layer names or writes in stays with what this layer brought.
    const descriptor = must(openAt(parent, name, folderFlags), "open", subject);
    let isEmpty: boolean;
    try {
      isEmpty = this.#clear(descriptor, below);
    } finally {
      close(descriptor);
    }
    if (isBrought || !isEmpty) return false;
    must(unlinkAt(parent, name, AT.REMOVEDIR), "rmdir", subject);
    folder.drop(text);
    return true;
  }
}
