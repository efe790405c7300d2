/**
 * What the kernel gives a file that is made: it depends on the umask, and on the folder's set-group-ID
 * bit, its default ACL and its mount's options.
 *
 * @module
 */

import type { Stat } from "../sys/at.ts";

/** Mode and owner of a file that was just made. */
export type Birth = Pick<Stat, "mode" | "uid" | "gid">;

/**
 * What files get that are made in one folder. The first with a mode is looked at, the others get the
 * same: so calls that would change nothing can be left out.
 */
export class Births {
  readonly #byMode = new Map<number, Birth>();

  /**
   * What a file has.
   *
   * @param mode that it was made with
   * @param look at the file, when none was made with this mode before
   */
  of(mode: number, look: () => Birth): Birth {
    const known = this.#byMode.get(mode);
    if (known !== undefined) return known;
    const { mode: got, uid, gid } = look();
    const birth = { mode: got & 0o7777, uid, gid };
    this.#byMode.set(mode, birth);
    return birth;
  }
}
