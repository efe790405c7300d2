/**
 * Debians as debootstrap makes them, kept as archives: for tests that install packages.
 *
 * @module
 */

import { run } from "./command.ts";
import { debianMirror } from "./debian_mirror.ts";

/** A release of Debian. */
export type Suite = "bookworm" | "trixie";

/** Part of the cache's name: to be counted up when the recipe below changes. */
const version = 1;

/**
 * A Debian of the variant minbase as a tar archive; made once and kept in the user's cache folder.
 *
 * Making it takes half a minute, needs root (debootstrap does) and a mirror of Debian.
 *
 * @param report told of what takes long
 * @returns the archive's path
 */
export async function debootstrapTar(
  suite: Suite,
  report: (text: string) => void,
): Promise<string> {
  const home = Deno.env.get("HOME") ?? "/root";
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/zenroot-tests`;
  const kept = `${cache}/debian-${suite}-${Deno.build.arch}-${version}.tar`;
  try {
    if ((await Deno.stat(kept)).isFile) return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(cache, { recursive: true });
  const scratch = await Deno.makeTempDir({ dir: cache, prefix: "making-" });
  try {
    report(`making a Debian ${suite} with debootstrap, once: about half a minute`);
    const rootfs = `${scratch}/rootfs`;
    // A mirror has all releases, whichever this machine is.
    await run(["debootstrap", "--variant=minbase", suite, rootfs, await debianMirror("bookworm")]);
    await run(["chroot", rootfs, "apt-get", "clean"]);
    const tar = `${scratch}/tar`;
    await run(["tar", "--create", "--numeric-owner", "--file", tar, "--directory", rootfs, "."]);
    await Deno.rename(tar, kept);
    return kept;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
