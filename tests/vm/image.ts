/**
 * What the virtual machine boots: Debian's kernel and OpenZFS for it, made once and kept in the
 * user's cache folder.
 *
 * @module
 */

import { DebianArchive } from "./packages.ts";
import { buildModules } from "./modules.ts";
import { writeBase } from "./initramfs.ts";

/** Part of the cache's name: to be counted up when what is built here changes. */
const recipe = 1;

/** What to boot. */
export interface VmImage {
  /** The kernel's file. */
  readonly kernel: string;
  /** The part of its first file system that is the same in each run. */
  readonly base: string;
}

/**
 * The kernel and its OpenZFS; built when they are not there, which takes some minutes.
 *
 * When several ask at once, one builds and the others wait. A failure leaves nothing.
 *
 * @param report told what was built and how long it took
 * @param signal ends the build, or the wait for another one
 * @throws {Error} when a package cannot be fetched or the modules cannot be built
 */
export async function vmImage(
  report: (text: string) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<VmImage> {
  const home = Deno.env.get("HOME") ?? "/root";
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/zenroot-tests`;
  const kept = await find(cache);
  if (kept !== undefined) return kept;

  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(`${cache}/vm.lock`, { write: true, create: true });
  if (!await lock.tryLock(true)) {
    report("another process builds the virtual machine: waiting for it");
    while (!await lock.tryLock(true)) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  return await find(cache) ?? await build(cache, report, signal);
}

async function find(cache: string): Promise<VmImage | undefined> {
  try {
    for await (const { name } of Deno.readDir(cache)) {
      if (name.startsWith("vm-") && name.endsWith(`-${recipe}`)) return image(`${cache}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

function image(folder: string): VmImage {
  return { kernel: `${folder}/vmlinuz`, base: `${folder}/base.cpio` };
}

/** Build in a folder beside and rename it. The caller holds the lock. */
async function build(
  cache: string,
  report: (text: string) => void,
  signal: AbortSignal,
): Promise<VmImage> {
  const prefix = "making-vm-";
  // The lock is ours, so that what is there was left by somebody who was killed.
  for await (const { name } of Deno.readDir(cache)) {
    if (name.startsWith(prefix)) await Deno.remove(`${cache}/${name}`, { recursive: true });
  }
  report("building a virtual machine with OpenZFS, once");
  const scratch = await Deno.makeTempDir({ dir: cache, prefix });
  try {
    const step = stopwatch(report);
    await Deno.mkdir(`${scratch}/apt`);
    const archive = await DebianArchive.open(`${scratch}/apt`, signal);
    step("fetched Debian's lists of packages");

    const [kernel = ""] = (await archive.dependencies("linux-headers-cloud-amd64", "bookworm")).map(
      (name) => name.replace(/^linux-headers-/, ""),
    );
    const headers = `linux-headers-${kernel}`;
    const ofHeaders = await archive.dependencies(headers, "bookworm");
    const commonHeaders = ofHeaders.find((name) => name.endsWith("-common")) ?? "";
    const kbuild = ofHeaders.find((name) => name.startsWith("linux-kbuild-")) ?? "";
    const libraries = (await archive.dependencies("zfsutils-linux", "bookworm-backports"))
      .filter((name) => /^lib.*linux$/.test(name));
    const tree = `${scratch}/tree`;
    const programs = `${scratch}/programs`;
    await archive.unpack([headers, commonHeaders, kbuild], "bookworm", tree);
    await archive.unpack(["zfs-dkms"], "bookworm-backports", tree);
    await archive.unpack(["zfsutils-linux", ...libraries], "bookworm-backports", programs);
    await archive.unpack([`linux-image-${kernel}`], "bookworm", `${scratch}/image`);
    const zfs = (await archive.version("zfs-dkms", "bookworm-backports")).replace(/-.*/, "");
    step(`fetched Linux ${kernel} and OpenZFS ${zfs}`);

    const modules = await buildModules({ tree, kernel, commonHeaders }, step, signal);
    const made = `${scratch}/made`;
    await Deno.mkdir(made);
    await Deno.rename(`${scratch}/image/boot/vmlinuz-${kernel}`, `${made}/vmlinuz`);
    await writeBase(`${made}/base.cpio`, `${scratch}/base`, {
      image: `${scratch}/image`,
      modules,
      programs,
    });
    const kept = `${cache}/vm-${kernel}-${zfs}-${recipe}`;
    await Deno.rename(made, kept);
    step(`packed them into ${kept}`);
    return image(kept);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Report each step with the time that it took. */
function stopwatch(report: (text: string) => void): (text: string) => void {
  let last = performance.now();
  return (text) => {
    const now = performance.now();
    report(`${((now - last) / 1000).toFixed(1).padStart(6)} s  ${text}`);
    last = now;
  };
}
