/**
 * Files that appear whole or not at all.
 *
 * A partial file lies beside its destination and is locked by the process that writes it; the lock
 * dies with its holder, so what a killed process left is known by its free lock, and the next file
 * made in the same folder removes it.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { existsSync, removeIfThere } from "../sys/exists.ts";
import { isAbandoned, isStillNamed, lockWhileOpen } from "../sys/lock.ts";
import { SysError } from "../sys/libc.ts";
import { renameNoReplace } from "../sys/rename.ts";

const prefix = ".enroot-partial.";

/** A file in the making; disposing of it before `publish` leaves nothing behind. */
export interface PartialFile extends Disposable {
  /** Where to write: absolute; the file is there, empty. */
  readonly path: string;
  /** The name it gets: absolute. */
  readonly destination: string;
  /** The file, open for writing: in a folder of another user's its path may lead elsewhere by now. */
  readonly file: Deno.FsFile;

  /**
   * Give it its final name.
   *
   * @throws {EnrootError} code `exists` when the name was taken in the meantime and not to be replaced,
   * `cannot-write` when somebody has put another file in its place
   */
  publish(): void;
}

/**
 * Begin a file.
 *
 * @param destination its final path, absolute
 * @param options.replace whether a file of that name may be replaced
 * @param options.mode its mode, of which the umask takes its share; for a program 0777
 * @throws {EnrootError} code `exists` when it may not, `cannot-write` when the folder cannot be
 * written
 */
export function createPartialFile(
  destination: string,
  { replace, mode = 0o666 }: { readonly replace: boolean; readonly mode?: number },
): PartialFile {
  const folder = destination.slice(0, destination.lastIndexOf("/")) || "/";
  refuseTaken(destination, replace);
  tidy(folder);
  let path: string;
  let lock: Deno.FsFile;
  try {
    // A tidying process may take a file between its making and its lock.
    for (;;) {
      path = `${folder}/${prefix}${crypto.randomUUID()}`;
      lock = Deno.openSync(path, { write: true, createNew: true, mode });
      lockWhileOpen(lock);
      if (existsSync(path)) break;
      lock.close();
    }
  } catch (error) {
    throw new EnrootError("cannot-write", `cannot write in ${folder}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return {
    path,
    destination,
    file: lock,
    publish() {
      if (!isStillNamed(lock, path)) {
        throw new EnrootError("cannot-write", `another file was put in the place of ${path}`);
      }
      if (replace) Deno.renameSync(path, destination);
      else {
        try {
          renameNoReplace(path, destination);
        } catch (error) {
          if (error instanceof SysError && error.code === "EEXIST") throw taken(destination);
          throw error;
        }
      }
    },
    [Symbol.dispose]() {
      removeIfThere(path);
      lock.close();
    },
  };
}

function refuseTaken(destination: string, replace: boolean): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.lstatSync(destination);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new EnrootError("cannot-write", `cannot look at ${destination}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  if (found.isDirectory) {
    throw new EnrootError("exists", `${destination} is a folder: name a file`);
  }
  if (!replace) throw taken(destination);
}

function taken(destination: string): EnrootError {
  return new EnrootError(
    "exists",
    `${destination} exists already: remove it or choose another file with --output`,
  );
}

function tidy(folder: string): void {
  let names: string[];
  try {
    names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return;
  }
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const path = `${folder}/${name}`;
    try {
      // Others may put anything into a shared folder, a pipe that blocks whoever opens it, too.
      const { isFile, uid } = Deno.lstatSync(path);
      if (!isFile || uid !== Deno.uid()) continue;
      using file = Deno.openSync(path, { write: true });
      if (isAbandoned(file)) removeIfThere(path);
    } catch {
      // Another user's, or just finished.
    }
  }
}
