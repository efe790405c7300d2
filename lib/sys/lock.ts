/**
 * Locks that tell whether somebody is still at work.
 *
 * @module
 */

/**
 * Lock a file until it is closed, or this process ends.
 *
 * Some network file systems know no locks. Nothing is locked there, and {@linkcode isAbandoned} takes
 * nothing for abandoned.
 */
export function lockWhileOpen(file: Deno.FsFile): void {
  try {
    file.lockSync(true);
  } catch {
    // Kept without a lock.
  }
}

/** Whether nobody holds a file's lock any more; from here on the caller does. */
export function isAbandoned(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    return false;
  }
}

/**
 * Whether a path still names an open file: its last holder may have removed it between another's
 * opening and lock.
 *
 * @throws {Error} on any failure but absence
 */
export function isStillNamed(file: Deno.FsFile, path: string): boolean {
  try {
    const [held, named] = [file.statSync(), Deno.lstatSync(path)];
    return held.dev === named.dev && held.ino === named.ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
