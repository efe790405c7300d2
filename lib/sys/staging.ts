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
import { existsSync } from "./exists.ts";
import { isAbandoned, lockWhileOpen } from "./lock.ts";
import { removeTree } from "./remove_tree.ts";

/** A folder of one's own, removed when disposed of. */
export interface Staging extends Disposable {
  /** The folder to work in: absolute, mode 0755, empty at first; it may be renamed away. */
  readonly path: string;
}

/** How long a folder without a lock file may be one that is just being made, in milliseconds. */
const youth = 60_000;

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
 * Remove the staging folders of killed processes of this user. Folders in use are left alone, and
 * so is everything of other users.
 *
 * @param parent where to look; nothing happens when it is not there
 * @param prefix as given to {@linkcode createStaging}
 */
export function tidyStaging(parent: string, prefix: string): void {
  const own = Deno.uid();
  for (const name of namesIn(parent)) {
    if (!name.startsWith(prefix)) continue;
    const folder = `${parent}/${name}`;
    try {
      const { uid, isDirectory, mtime } = Deno.lstatSync(folder);
      if (uid !== own || !isDirectory) continue;
      if (!existsSync(`${folder}/lock`)) {
        if (Date.now() - (mtime?.getTime() ?? 0) > youth) removeTree(folder);
        continue;
      }
      using lock = Deno.openSync(`${folder}/lock`, { write: true });
      if (isAbandoned(lock)) removeTree(folder);
    } catch {
      // Another process tidies too, or its owner has just finished.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return [];
  }
}
