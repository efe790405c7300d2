/**
 * Staging folders: where things are made before they are moved into place.
 *
 * Each has an owner, the process that holds the lock on the file `lock` in it. The lock dies with
 * its holder, so a folder whose lock is free was left by a killed process, and
 * {@linkcode tidyStaging} removes it.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { AT, close, E, flock, itself, must, O, openAt, S, type Stat, statAt } from "./at.ts";
import { existsSync } from "./exists.ts";
import { cstring, SysError } from "./libc.ts";
import { lockWhileOpen } from "./lock.ts";
import { removeTree } from "./remove_tree.ts";

/** A folder of one's own, removed when disposed of. */
export interface Staging extends Disposable {
  /** The folder to work in: absolute, mode 0755, empty at first; it may be renamed away. */
  readonly path: string;
}

/** How long a folder without a lock file may be one that is just being made, in milliseconds. */
const youth = 60_000;

/** flock(2): `LOCK_EX | LOCK_NB`. */
const exclusive = 6;

/**
 * Make a staging folder.
 *
 * @param parent an existing folder
 * @param prefix the beginning of its name; what {@linkcode tidyStaging} finds it by
 * @throws {EnrootError} code `cannot-write` when the parent cannot be written
 */
export function createStaging(parent: string, prefix: string): Staging {
  try {
    for (;;) {
      const staging = tryStaging(parent, prefix);
      if (staging !== undefined) return staging;
    }
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot make a working folder in ${parent}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

/** A staging folder, `undefined` when a tidying process took it before it was locked. */
function tryStaging(parent: string, prefix: string): Staging | undefined {
  const folder = Deno.makeTempDirSync({ dir: parent, prefix });
  using undo = new DisposableStack();
  undo.defer(() => removeTree(folder));
  const lock = undo.use(
    Deno.openSync(`${folder}/lock`, { write: true, createNew: true, mode: 0o600 }),
  );
  lockWhileOpen(lock);
  if (!existsSync(`${folder}/lock`)) return undefined;
  const path = `${folder}/content`;
  Deno.mkdirSync(path);
  // What becomes of it is a root folder; until then its parent, 0700, keeps others out.
  Deno.chmodSync(path, 0o755);
  const owned = undo.move();
  return { path, [Symbol.dispose]: () => owned.dispose() };
}

/**
 * Remove the staging folders of killed processes of this user. Folders in use are left alone, and so is
 * everything of other users and what is not as {@linkcode createStaging} makes it: the user's alone,
 * with a lock that is a file.
 *
 * @param parent where to look; nothing happens when it is not there
 * @param prefix as given to {@linkcode createStaging}
 */
export function tidyStaging(parent: string, prefix: string): void {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(prefix)) continue;
    try {
      tidy(parent, name);
    } catch {
      // Another process tidies too, or its owner has just finished.
    }
  }
}

/** The parent may be a folder that everybody writes to: what is looked at is what was opened. */
function tidy(parent: string, name: string): void {
  const path = `${parent}/${name}`;
  using undo = new DisposableStack();
  const open = (at: number, name: string, flags: number): number => {
    const descriptor = must(openAt(at, cstring(name), flags | O.NOFOLLOW), "open", path);
    undo.defer(() => close(descriptor));
    return descriptor;
  };
  const folder = open(AT.FDCWD, path, O.RDONLY | O.DIRECTORY);
  const found = factsOf(folder, path);
  if (found.uid !== Deno.uid() || (found.mode & 0o777) !== 0o700) return;
  if (statAt(folder, cstring("lock")) === -E.NOENT) {
    if (Date.now() - found.seconds * 1000 < youth) return;
  } else {
    // Not held up by a FIFO of that name.
    const lock = open(folder, "lock", O.RDWR | O.NONBLOCK);
    if ((factsOf(lock, path).mode & S.IFMT) !== S.IFREG) return;
    if (flock(lock, exclusive) < 0) return;
  }
  // That of a bundle is locked itself as well, which holds when its lock file was removed. Over a
  // network a folder cannot be.
  if (flock(folder, exclusive) === -E.AGAIN) return;
  removeTree(path);
}

function factsOf(descriptor: number, subject: string): Stat {
  const found = statAt(descriptor, itself);
  if (typeof found === "number") throw new SysError("statx", -found, subject);
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}
