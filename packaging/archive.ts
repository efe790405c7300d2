/**
 * The archive that is unpacked anywhere: the one executable, with what goes beside it.
 *
 * @module
 */

import { architectures, place, run, settle, top } from "./build.ts";
import type { PackageOptions } from "./debian.ts";
import { type Contents, filesIn, helpers } from "./compile.ts";
import { pack } from "./payload.ts";
import { type Extra, importer, writeExtras } from "./stage.ts";

/** What an archive is made of. */
export interface ArchiveOptions
  extends Pick<PackageOptions, "release" | "architecture" | "work" | "output" | "isFast"> {
  /** With the helpers. */
  readonly contents: Contents;
  /** The folder with the launcher and the helpers. */
  readonly programs: string;
  readonly extras: readonly Extra[];
}

/**
 * Make the archive, and the executable by itself.
 *
 * The executable in it is whole: whoever calls it has it unpacked in his cache, so it does not matter whose
 * the folder is that it lies in.
 *
 * @returns the names of both files
 * @throws {Error} when something cannot be read or written, with what tar or xz said
 */
export async function makeArchive(options: ArchiveOptions): Promise<string[]> {
  const { release, architecture, work, output, contents, programs, extras, isFast } = options;
  const name = `enroot-${release.version}-${architectures[architecture].machine}`;
  const root = `${work}/${name}`;
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await pack(`${programs}/enroot-launcher`, contents.files, contents.words, `${root}/bin/enroot`);
  for (const each of helpers) await place(`${programs}/${each}`, `${root}/libexec/${each}`, 0o755);
  await place(`${top}/packaging/share/${importer}`, `${root}/libexec/${importer}`, 0o755);
  await place(`${top}/packaging/share/slurm-prolog`, `${root}/share/enroot/slurm-prolog`, 0o755);
  for (const { name: file, path, mode } of await filesIn(`${top}/packaging/etc`, "")) {
    await place(path, `${root}/etc/enroot/${file}`, mode);
  }
  for (const { name: file, path } of await filesIn(`${top}/docs`, "")) {
    await place(path, `${root}/share/doc/enroot/${file}`, 0o644);
  }
  await place(`${top}/LICENSE`, `${root}/share/doc/enroot/LICENSE`, 0o644);
  await writeExtras(`${root}/share`, extras);
  await settle(root, release.epoch);
  const tar = `${work}/${name}.tar`;
  await run([
    ...["tar", "--create", "--file", tar, "--format=gnu", "--sort=name", "--numeric-owner"],
    ...["--owner=0", "--group=0", "--directory", work, name],
  ]);
  // Threads would cut it differently on another machine.
  await run(["xz", isFast ? "-0" : "-1", "--threads=1", tar]);
  await Deno.rename(`${tar}.xz`, `${output}/${name}.tar.xz`);
  await Deno.rename(`${root}/bin/enroot`, `${output}/${name}`);
  return [name, `${name}.tar.xz`];
}
