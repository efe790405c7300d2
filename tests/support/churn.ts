/**
 * Containers that come and go, many at once, of a few images, while all that is not in use is swept away
 * all the time.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Random } from "../fuzz/random.ts";
import type { User } from "./bed.ts";
import { makeBusyboxImage } from "./busybox_image.ts";
import { describeTree } from "./tree.ts";
import { ZfsBed } from "./zfs_bed.ts";

/** What comes and goes. */
export interface ChurnOptions {
  readonly user: User;
  readonly seed: number;
  readonly seconds: number;
  /** How many containers are made at once. */
  readonly workers: number;
  readonly images: number;
}

/** What was done. */
export interface ChurnSummary {
  readonly containers: number;
  readonly sweeps: number;
}

const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };

/** How long a command may take, in milliseconds: the machine may be emulated, and they are many. */
const patience = 600_000;

/**
 * Make and remove containers for so long.
 *
 * @throws {AggregateError} with every command that failed or warned of something, every wrong tree and every leftover
 */
export async function churn(options: ChurnOptions): Promise<ChurnSummary> {
  const { user, seed, seconds, workers, images } = options;
  await using store = await ZfsBed.make(user);
  const { bed, dataset } = store;
  const wrong: Error[] = [];
  /** Run `enroot`: it is to succeed, and to have nothing to warn of. */
  const enroot = async (args: readonly string[], env: Record<string, string>): Promise<boolean> => {
    const signal = AbortSignal.timeout(patience);
    const { code, stderr } = await store.enroot(args, { env, signal });
    if (code === 0 && !stderr.includes("[WARN]")) return true;
    wrong.push(new Error(`seed ${seed}: enroot ${args.join(" ")} ended with ${code}: ${stderr}`));
    return false;
  };
  const treeOf = async (name: string): Promise<string> =>
    JSON.stringify(await describeTree(`${dataset.path}/${name}`, { owners: true }));

  /** By image: what the first container of it was, all are. */
  const trees: string[] = [];
  for (let image = 0; image < images; image++) {
    const files = [{ "etc/common": "1\n" }, { [`etc/image-${image}`]: String(image) }];
    await makeBusyboxImage(`${bed.work}/${image}`, "x", ...files);
  }
  await bed.own();
  for (let image = 0; image < images; image++) {
    await store.succeed(["import", "-o", `${image}.sqsh`, `oci:${image}:x`]);
  }

  const random = new Random(seed);
  const end = performance.now() + seconds * 1000;
  let [containers, sweeps] = [0, 0];
  const work = async (worker: number): Promise<void> => {
    // Names that ZFS does not know as they are, too.
    const name = `c+${worker}`;
    while (performance.now() < end && wrong.length === 0) {
      const image = random.below(images);
      const how = random.chance(0.5)
        ? ["load", "-n", name, `oci:${image}:x`]
        : ["create", "-n", name, `${image}.sqsh`];
      if (!await enroot(how, random.chance(0.5) ? chain : {})) return;
      const tree = await treeOf(name);
      const first = trees[image] ??= tree;
      if (tree !== first || !tree.includes(`etc/image-${image}`)) {
        wrong.push(new Error(`seed ${seed}: ${name} is not what image ${image} is`));
      }
      if (!await enroot(["remove", "-f", name], {})) return;
      containers++;
    }
  };
  const sweep = async (): Promise<void> => {
    for (; performance.now() < end && wrong.length === 0; sweeps++) {
      await enroot(["cache", "prune", ...random.chance(0.5) ? ["--all"] : []], {});
    }
  };
  await Promise.all([sweep(), ...Array.from({ length: workers }, (_, worker) => work(worker))]);
  if (wrong.length > 0) throw new AggregateError(wrong, wrong.map(String).join("\n"));

  await store.succeed(["cache", "prune", "--all"]);
  const contents = await dataset.contents();
  assertEquals(contents.filter((each) => !/^\.(?:templates|layers|ephemeral)$/.test(each)), []);
  const locks = [...Deno.readDirSync(`${dataset.path}/.locks`)].map(({ name }) => name).sort();
  assertEquals(locks, ["layout", "swept"]);
  const folders = [...Deno.readDirSync(dataset.path)].map(({ name }) => name);
  assertEquals(folders.filter((name) => !name.startsWith(".")), []);
  assertEquals([...(await dataset.mounted()).keys()], []);
  assertEquals([...Deno.readDirSync(bed.temp)].map(({ name }) => name), []);
  return { containers, sweeps };
}
