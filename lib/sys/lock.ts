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
