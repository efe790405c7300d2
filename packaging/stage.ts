/**
 * The tree of files that a package installs.
 *
 * @module
 */

import { place, settle, top } from "./build.ts";
import { type Contents, filesIn, helpers } from "./compile.ts";
import { pack } from "./payload.ts";

/** What the launcher names the folder by: the beginning of the content id (helper/folder.c). */
const nameLength = 32;

/** The program that Slurm's pyxis calls for images. */
export const importer = "enroot-pyxis-importer";

/** A file that comes with the program, such as a manual page. */
export interface Extra {
  /** Its path below `/usr/share`. */
  readonly name: string;
  readonly text: string;
}

/** What a tree is made of. */
export interface StageOptions {
  /** With the helpers of the flavour. */
  readonly contents: Contents;
  /** The folder with the flavour's launcher and helpers. */
  readonly programs: string;
  readonly extras: readonly Extra[];
  /** The time of all files. */
  readonly epoch: number;
}

/**
 * Make the tree in a folder, which is made.
 *
 * The executable in it is small: its payload is in the tree, root's own when it is installed, and nobody
 * unpacks anything.
 *
 * @throws {Error} when something cannot be read or written; what is there by then stays
 */
export async function stage(root: string, options: StageOptions): Promise<void> {
  const { contents: { files, words }, programs, extras, epoch } = options;
  const libexec = `${root}/usr/libexec/enroot`;
  await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
  const { id } = await pack(`${programs}/enroot-launcher`, files, words, `${root}/usr/bin/enroot`, {
    isInstalled: true,
  });
  for (const { name, path, mode } of files) {
    await place(path, `${libexec}/payload/${id.slice(0, nameLength)}/${name}`, mode);
  }
  for (const name of helpers) await place(`${programs}/${name}`, `${libexec}/${name}`, 0o755);
  for (const name of ["set-up", importer]) {
    await place(`${top}/packaging/share/${name}`, `${libexec}/${name}`, 0o755);
  }
  for (const { name, path, mode } of await filesIn(`${top}/packaging/etc`, "")) {
    // Extra hooks act when they are copied to the folder of those that act.
    const extra = name.startsWith("hooks.extra.d/");
    const to = extra ? `usr/share/enroot/hooks.d${name.slice(13)}` : `etc/enroot/${name}`;
    await place(path, `${root}/${to}`, mode);
  }
  await Deno.mkdir(`${root}/etc/enroot/enroot.conf.d`, { recursive: true });
  await place(
    `${top}/packaging/share/slurm-prolog`,
    `${root}/usr/share/enroot/slurm-prolog`,
    0o755,
  );
  await place(
    `${top}/packaging/share/apparmor.d/enroot`,
    `${root}/etc/apparmor.d/enroot`,
    0o644,
  );
  await writeExtras(`${root}/usr/share`, extras);
  await settle(root, epoch);
}

/** Write extras below a folder. */
export async function writeExtras(folder: string, extras: readonly Extra[]): Promise<void> {
  for (const { name, text } of extras) {
    const path = `${folder}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, 0o644);
  }
}
