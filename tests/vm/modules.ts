/**
 * The kernel modules of OpenZFS, built from the sources of Debian's package zfs-dkms.
 *
 * @module
 */

import { run } from "../support/command.ts";

/** What the modules are built from, in one folder that packages were unpacked to. */
export interface ModuleSources {
  /** The folder: the kernel's headers and build programs, and the sources of OpenZFS. */
  readonly tree: string;
  /** The kernel's release, like `6.1.0-50-cloud-amd64`. */
  readonly kernel: string;
  /** The headers that all flavours of this kernel share, as a package name. */
  readonly commonHeaders: string;
}

/** It also ends all that the program has started, when it is ended itself. */
const bounded = ["timeout", "1800"];

/**
 * Build `spl.ko` and `zfs.ko`, without debug information.
 *
 * @param report told what was done, when it is done
 * @param signal ends it
 * @returns the folder that they are in
 */
export async function buildModules(
  { tree, kernel, commonHeaders }: ModuleSources,
  report: (text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const sources = `${tree}/usr/src`;
  const headers = `${sources}/linux-headers-${kernel}`;
  // The makefile of the flavour includes the common one by its place after an installation.
  await Deno.writeTextFile(
    `${headers}/Makefile`,
    (await Deno.readTextFile(`${headers}/Makefile`)).replaceAll("/usr/src/", `${sources}/`),
  );

  const zfs = `${sources}/${await nameIn(sources, /^zfs-/)}`;
  // Debug information would be half of the compiler's work, and 90 % of the modules' size.
  const options = { cwd: zfs, env: { KCFLAGS: "-g0", LC_ALL: "C.UTF-8" }, signal };
  await run([
    ...bounded,
    "./configure",
    "--quiet",
    "--with-config=kernel",
    `--with-linux=${sources}/${commonHeaders}`,
    `--with-linux-obj=${headers}`,
  ], options);
  report("configured OpenZFS for this kernel");
  await run([...bounded, "make", `--jobs=${navigator.hardwareConcurrency}`, "--silent"], options);
  report("compiled the kernel modules of OpenZFS");
  return `${zfs}/module`;
}

async function nameIn(folder: string, pattern: RegExp): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) if (pattern.test(name)) return name;
  throw new Error(`nothing in ${folder} matches ${pattern}`);
}
