/**
 * The file system that the guest starts from: busybox, kernel modules and the programs of OpenZFS.
 *
 * It is made of two archives: a base that is kept, and a small one of each run with the first
 * program and what it is to do. The kernel unpacks archives that follow each other one by one.
 *
 * @module
 */

import { run } from "../support/command.ts";

/** The kernel's own modules, in an order in which each finds what it needs. */
const kernelModules = [
  ...["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"],
  ...["virtio_console", "fuse", "virtiofs", "overlay", "squashfs", "loop"],
];

/** Half a gigabyte of cache is enough for tests, and leaves the memory to what is tested. */
const zfsModules = ["spl", "zfs zfs_arc_max=536870912"];

/** The parts of a base. */
export interface BaseParts {
  /** Where the kernel's package was unpacked to. */
  readonly image: string;
  /** Where `spl.ko` and `zfs.ko` are. */
  readonly modules: string;
  /** Where the packages of the programs were unpacked to; changed by this. */
  readonly programs: string;
}

/** Write the archive that does not change from run to run. @param tree a folder to make, for its content */
export async function writeBase(
  path: string,
  tree: string,
  { image, modules, programs }: BaseParts,
): Promise<void> {
  await Deno.mkdir(`${tree}/bin`, { recursive: true });
  await Deno.copyFile("/usr/bin/busybox", `${tree}/bin/busybox`);
  await Deno.chmod(`${tree}/bin/busybox`, 0o755);

  await Deno.mkdir(`${tree}/modules`);
  const found = new Map<string, string>();
  for (const each of (await run(["find", image, modules, "-name", "*.ko"])).split("\n")) {
    found.set(each.replace(/.*\//, "").replace(/\.ko$/, "").replaceAll("-", "_"), each);
  }
  for (const name of [...kernelModules, "spl", "zfs"]) {
    const from = found.get(name);
    if (from === undefined) throw new Error(`there is no kernel module '${name}'`);
    await Deno.copyFile(from, `${tree}/modules/${name}.ko`);
  }
  await Deno.writeTextFile(
    `${tree}/modules/order`,
    [...kernelModules, ...zfsModules].map((line) => `${line}\n`).join(""),
  );

  // These are laid over the machine's own files, where /lib and /sbin are links to those in /usr.
  await Deno.mkdir(`${tree}/zfs`);
  for (const name of ["bin", "lib", "sbin"]) {
    const from = `${programs}/${name}`;
    if (!await isThere(from)) continue;
    await Deno.mkdir(`${programs}/usr/${name}`, { recursive: true });
    await run(["cp", "-a", `${from}/.`, `${programs}/usr/${name}`]);
  }
  await run(["rm", "-rf", `${programs}/usr/share`]);
  await run(["cp", "-a", `${programs}/usr`, `${tree}/zfs/usr`]);
  await run(["chown", "-R", "0:0", tree]);
  await archive(path, tree);
}

/**
 * Write a whole file system for one run.
 *
 * @param base what {@linkcode writeBase} wrote
 * @param tree a folder with what comes on top of it
 */
export async function writeInitramfs(path: string, base: string, tree: string): Promise<void> {
  await archive(`${path}.top`, tree);
  const target = await Deno.open(path, { write: true, create: true, truncate: true });
  try {
    for (const part of [base, `${path}.top`]) {
      const source = await Deno.open(part);
      await source.readable.pipeTo(target.writable, { preventClose: true });
    }
  } finally {
    target.close();
  }
}

/** Pack a folder into the only kind of archive that the kernel unpacks. */
async function archive(path: string, tree: string): Promise<void> {
  const names = await run(["find", ".", "-mindepth", "1", "-print"], { cwd: tree });
  await run(["busybox", "cpio", "-o", "-H", "newc", "-F", path], { cwd: tree, input: names });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
