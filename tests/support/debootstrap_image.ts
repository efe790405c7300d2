/**
 * The big image of the benchmarks: a Debian 12 with python3, perl and git, 380 MB in four layers.
 *
 * @module
 */

import { run } from "./command.ts";
import { debianMirror } from "./debian_mirror.ts";
import { listFolder, tarPaths } from "./layer_tar.ts";
import { OciLayout, type StoredLayer } from "./oci_layout.ts";

/** Part of the cache's name: to be counted up when the recipe below changes. */
const version = 1;
const suite = "bookworm";

/**
 * The big image as an OCI layout, tag `debian`; made once and kept in the user's cache folder.
 *
 * Making it takes a minute or two, needs root (debootstrap does) and a mirror of Debian.
 *
 * @param report told of what takes long
 * @returns the layout's folder
 */
export async function debootstrapImage(report: (text: string) => void): Promise<string> {
  const home = Deno.env.get("HOME") ?? "/root";
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/zenroot-tests`;
  const kept = `${cache}/debootstrap-${suite}-${Deno.build.arch}-${version}`;
  if (await isThere(`${kept}/index.json`)) return kept;
  if (Deno.uid() !== 0) {
    throw new Error(
      "the image of the benchmarks is made by debootstrap, which needs root: " +
        `run this once as root, or copy ${kept} from where it was made`,
    );
  }

  await Deno.mkdir(cache, { recursive: true });
  const scratch = await Deno.makeTempDir({ dir: cache, prefix: "making-" });
  try {
    report("making the image of the benchmarks with debootstrap, once: about two minutes");
    const rootfs = `${scratch}/rootfs`;
    await run([
      ...["debootstrap", "--variant=minbase", "--include=python3,perl,git", suite, rootfs],
      await debianMirror(suite),
    ]);
    // The package files themselves are of no use in an image.
    await run(["chroot", rootfs, "apt-get", "clean"]);
    report("packing it into four layers");
    const layout = await OciLayout.create(`${scratch}/layout`);
    const layers: StoredLayer[] = [];
    for (const [index, paths] of split(await listFolder(rootfs)).entries()) {
      const tar = `${scratch}/${index}.tar`;
      await tarPaths(tar, rootfs, paths);
      layers.push(await layout.putLayer(tar, "gzip"));
      await Deno.remove(tar);
    }
    await layout.tag("debian", await layout.putImage(layers, { config: { Cmd: ["bash"] } }));
    await Deno.rename(layout.path, kept);
    return kept;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** The system, then libraries, then languages, then the rest, as a Dockerfile would have it. */
function split(paths: readonly string[]): string[][] {
  const layers: string[][] = [[], [], [], []];
  for (const path of paths) {
    const at =
      /^\.\/usr\/(lib\/python|share\/perl|lib\/git-core|lib\/x86_64-linux-gnu\/perl)/.test(path)
        ? 2
        : /^\.\/usr\/(lib|bin|sbin)\//.test(path)
        ? 1
        : /^\.\/usr\/share\//.test(path)
        ? 3
        : 0;
    layers[at]?.push(path);
  }
  return layers;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
