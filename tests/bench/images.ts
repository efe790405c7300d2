/**
 * `enroot load` and `enroot import` against what a user would run instead: skopeo, umoci and
 * mksquashfs, on the same image from the same registry, on tmpfs.
 *
 * @module
 */

import { executable } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { debootstrapImage } from "../support/debootstrap_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { type Benchmark, type BenchResult, compare, type Contender, measure } from "./measure.ts";

const rounds = 3;
const bound = 1.2;
const squashOptions = ["-comp", "lzo", "-noD", "-exit-on-error"];

/** An image in a registry into a root filesystem. */
export const load: Benchmark = {
  name: "load",
  run: (report) =>
    withImage(report, async ({ image, folder }) => {
      const ours: Contender = {
        name: "enroot load",
        prepare: () => empty(folder),
        run: () => enroot(folder, ["load", "-n", "x", `docker://${image}`]),
      };
      const theirs: Contender = {
        name: "skopeo copy, umoci raw unpack",
        prepare: () => empty(folder),
        run: () => unpack(folder, image),
      };
      return await sideBySide("load", ours, theirs, report);
    }),
};

/** An image in a registry into a squashfs file. */
export const importing: Benchmark = {
  name: "import",
  run: (report) =>
    withImage(report, async ({ image, folder }) => {
      const ours: Contender = {
        name: "enroot import",
        prepare: () => empty(folder),
        run: () => enroot(folder, ["import", "-o", `${folder}/x.sqsh`, `docker://${image}`]),
      };
      const theirs: Contender = {
        name: "skopeo copy, umoci raw unpack, mksquashfs",
        prepare: () => empty(folder),
        run: async () => {
          await unpack(folder, image);
          const options = ["-noappend", "-all-root", "-no-progress", ...squashOptions];
          await run(["mksquashfs", `${folder}/rootfs`, `${folder}/x.sqsh`, ...options]);
        },
      };
      return await sideBySide("import", ours, theirs, report);
    }),
};

async function sideBySide(
  name: string,
  ours: Contender,
  theirs: Contender,
  report: (text: string) => void,
): Promise<BenchResult[]> {
  const [times = [], baselineTimes = []] = await measure([ours, theirs], rounds, report);
  return [compare({ name, baseline: theirs.name, bound, times, baselineTimes })];
}

/** Run something with the big image in a registry and an empty folder on tmpfs. */
async function withImage<T>(
  report: (text: string) => void,
  work: (place: { readonly image: string; readonly folder: string }) => Promise<T>,
): Promise<T> {
  const layout = await debootstrapImage(report);
  await using stack = new AsyncDisposableStack();
  const folder = await makeTmpfsFolder(stack);
  const registry = stack.use(await startRegistry());
  const image = `127.0.0.1:${registry.port}/bench/debian:12`;
  await pushImage(layout, "debian", image);
  return await work({ image, folder });
}

/** A folder in memory: disks of test machines differ from run to run by more than the bounds. */
async function makeTmpfsFolder(stack: AsyncDisposableStack): Promise<string> {
  const type = (await run(["stat", "--file-system", "--format=%T", "/dev/shm"])).trim();
  if (type !== "tmpfs") throw new Error("/dev/shm is no tmpfs here: there is nowhere to measure");
  const folder = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "zenroot-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  return folder;
}

async function empty(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    await Deno.remove(`${folder}/${name}`, { recursive: true });
  }
}

async function enroot(folder: string, args: readonly string[]): Promise<void> {
  await run([executable, ...args], {
    env: {
      ENROOT_ALLOW_HTTP: "y",
      ENROOT_CACHE_PATH: `${folder}/cache`,
      ENROOT_DATA_PATH: `${folder}/data`,
      ENROOT_TEMP_PATH: folder,
      ENROOT_SQUASH_OPTIONS: squashOptions.join(" "),
    },
  });
}

async function unpack(folder: string, image: string): Promise<void> {
  await run([
    ...["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"],
    ...[`docker://${image}`, `oci:${folder}/oci:x`],
  ]);
  const rootless = Deno.uid() === 0 ? [] : ["--rootless"];
  await run([
    "umoci",
    "raw",
    "unpack",
    ...rootless,
    "--image",
    `${folder}/oci:x`,
    `${folder}/rootfs`,
  ]);
}
