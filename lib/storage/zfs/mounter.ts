/**
 * Mounting datasets of a store where they belong: below the store, with `nosuid,nodev`.
 *
 * Mounting takes a capability that no delegation of ZFS gives. Root has it; for everybody else
 * `enroot-zfs-mount` does it, by rules of its own.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { helperPath } from "../../process/assets.ts";
import { CommandError, runBriefly } from "../../process/run.ts";
import {
  AT,
  chownAt,
  close,
  E,
  mkdirAt,
  must,
  O,
  openAt,
  openBeneath,
  unlinkAt,
} from "../../sys/at.ts";
import { cstring, SysError } from "../../sys/libc.ts";
import { mount, MS, UMOUNT_NOFOLLOW, unmountInThread } from "../../sys/mount.ts";
import { mountAt } from "../../sys/mountinfo.ts";
import type { DatasetName } from "../../zfs/dataset.ts";

/** A dataset and where it belongs. */
export interface Place {
  readonly dataset: DatasetName;
  /** The store's own mount point. */
  readonly store: string;
  /** Where it belongs below that: plain names joined by `/`. */
  readonly below: string;
}

/** Of chown(2): leaves the group as it is. */
const sameGroup = 0xffff_ffff;

/** The code of the error when a clone of root's template would have to be shown as a user's. */
export const withoutIdmappedMounts = "no-idmapped-mounts";

/** How the helper ends then: EXIT_WITHOUT_IDMAP of helper/idmap.h. */
const exitWithoutIdmap = 3;

/** Mounts datasets of one user's store. */
export interface Mounter {
  /** @throws {EnrootError} when something is missing that mounting will need */
  ready(): void;
  /**
   * Mount a dataset. The folder is there; when the dataset is mounted on it already, nothing happens.
   *
   * @throws {EnrootError} code `cannot-mount`, or {@linkcode withoutIdmappedMounts}, with the reason
   */
  mount(place: Place): Promise<void>;
  /**
   * Unmount it, if it is mounted.
   *
   * @throws {EnrootError} code `cannot-mount`, for example because something in it is in use
   */
  unmount(place: Place): Promise<void>;
}

/** Where a place is in the file system. */
export function pathOf({ store, below }: Place): string {
  return `${store}/${below}`;
}

/** Whether a dataset is mounted where it belongs. */
export function isMounted(place: Place): boolean {
  const found = mountAt(pathOf(place));
  return found?.type === "zfs" && found.source === place.dataset && found.root === "/";
}

/** The mounter of a user. */
export function mounterFor(uid: number): Mounter {
  return uid === 0 ? new RootMounter() : new HelperMounter();
}

/**
 * Make the folder that a place is mounted on, if it is not there; its parent is. It belongs to the owner of the
 * store, whoever makes it: the helper mounts for him on what is his.
 *
 * @returns whether it was made now
 * @throws {SysError} also when a part of the path is a symlink
 */
export function makeMountPoint(place: Place): boolean {
  using open = new DisposableStack();
  const { parent, name } = split(place);
  const folder = openFolder(open, place, parent);
  const result = mkdirAt(folder, cstring(name), 0o700);
  if (result === -E.EXIST) return false;
  must(result, "mkdir", pathOf(place));
  const owner = Deno.uid() === 0 ? Deno.statSync(place.store).uid ?? 0 : 0;
  if (owner !== 0) must(chownAt(folder, cstring(name), owner, sameGroup), "chown", pathOf(place));
  return true;
}

/** Remove the folder that a place was mounted on, if it is there and empty. @throws {SysError} */
export function removeMountPoint(place: Place): void {
  using open = new DisposableStack();
  const { parent, name } = split(place);
  let folder: number;
  try {
    folder = openFolder(open, place, parent);
  } catch (error) {
    if (error instanceof SysError && error.errno === E.NOENT) return;
    throw error;
  }
  const result = unlinkAt(folder, cstring(name), AT.REMOVEDIR);
  if (result !== -E.NOENT) must(result, "rmdir", pathOf(place));
}

function split({ below }: Place): { parent: string; name: string } {
  const at = below.lastIndexOf("/");
  return { parent: at < 0 ? "." : below.slice(0, at), name: below.slice(at + 1) };
}

/** Open a folder below the store: no symlink in it leads elsewhere, whoever the store belongs to. */
function openFolder(open: DisposableStack, { store }: Place, below: string): number {
  const use = (descriptor: number, subject: string): number => {
    const checked = must(descriptor, "open", subject);
    open.defer(() => close(checked));
    return checked;
  };
  const flags = O.PATH | O.DIRECTORY;
  const root = use(openAt(AT.FDCWD, cstring(store), flags), store);
  return use(openBeneath(root, cstring(below), flags), `${store}/${below}`);
}

class RootMounter implements Mounter {
  ready(): void {}

  mount(place: Place): Promise<void> {
    return attempt(() => {
      if (isMounted(place)) return;
      using open = new DisposableStack();
      const folder = openFolder(open, place, place.below);
      mount({
        source: place.dataset,
        target: `/proc/self/fd/${folder}`,
        type: "zfs",
        flags: MS.NOSUID | MS.NODEV,
      }, `${place.dataset} on ${pathOf(place)}`);
    });
  }

  unmount(place: Place): Promise<void> {
    return attempt(async () => {
      if (!isMounted(place)) return;
      using open = new DisposableStack();
      const { parent, name } = split(place);
      const folder = openFolder(open, place, parent);
      await unmountInThread(`/proc/self/fd/${folder}/${name}`, UMOUNT_NOFOLLOW);
    });
  }
}

class HelperMounter implements Mounter {
  ready(): void {
    helperPath("enroot-zfs-mount");
  }

  async mount(place: Place): Promise<void> {
    if (!isMounted(place)) await this.#run(place, []);
  }

  async unmount(place: Place): Promise<void> {
    if (isMounted(place)) await this.#run(place, ["--unmount"]);
  }

  async #run({ dataset }: Place, options: readonly string[]): Promise<void> {
    try {
      await runBriefly([helperPath("enroot-zfs-mount"), ...options, dataset], {});
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const code = error.exitCode === exitWithoutIdmap ? withoutIdmappedMounts : "cannot-mount";
      throw new EnrootError(code, error.stderr.trim() || error.message, { cause: error });
    }
  }
}

/** A failed system call as the error of this module. */
async function attempt(work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new EnrootError("cannot-mount", `cannot mount or unmount ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
