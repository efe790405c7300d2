/**
 * Whether something is there.
 *
 * @module
 */

/**
 * Whether a path names anything, a dangling symlink included.
 *
 * @throws {Error} on any failure but absence: an answer that is not known is no `false`
 */
export function existsSync(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Remove a file; that it is not there is as good. @throws {Error} on any failure but absence */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
