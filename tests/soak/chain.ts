/**
 * The layer chain at its limits: an image of as many layers as images have, and many imports at once. In
 * the virtual machine, or on the dataset that ENROOT_TEST_POOL names.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Files, makeBusyboxImage } from "../support/busybox_image.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";
import { onZfs } from "./on_zfs.ts";

const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };

/** What is the most that overlayfs, and so every registry's images, can have. */
const mostLayers = 127;

/** Run it where OpenZFS is. @returns what was wrong */
export function checkChain(): Promise<string[]> {
  return onZfs("tests/soak/chain.ts", 3600, "the chain of layers at its limits failed");
}

async function manyLayers(): Promise<void> {
  await using store = await ZfsBed.make("root");
  const { bed, dataset } = store;
  const numbers = Array.from({ length: mostLayers - 1 }, (_, index) => String(index));
  const files = numbers.map((number): Files => ({
    [`etc/layers/${number}`]: number,
    "etc/last": number,
  }));
  await makeBusyboxImage(`${bed.work}/layout`, "x", ...files);
  const begun = performance.now();
  await store.succeed(["load", "-n", "c", "oci:layout:x"], { env: chain });
  const seconds = (performance.now() - begun) / 1000;
  const found = [...Deno.readDirSync(`${dataset.path}/c/etc/layers`)].map(({ name }) => name);
  assertEquals(found.sort(), numbers.toSorted());
  assertEquals(await Deno.readTextFile(`${dataset.path}/c/etc/last`), numbers.at(-1));
  const layers = (await layersOf(store)).length;
  assertEquals(layers, mostLayers);
  console.log(`${layers} layers in ${seconds.toFixed(0)} s`);
}

/** Ten images that begin alike, in pairs that are the same: all at once. */
async function manyImports(): Promise<void> {
  await using store = await ZfsBed.make("root");
  const { bed, dataset } = store;
  const own = ["a", "b", "c", "d", "e"];
  for (const name of own) {
    await makeBusyboxImage(`${bed.work}/${name}`, "x", { "etc/common": "1\n" }, {
      [`etc/${name}`]: `${name}\n`,
    });
  }
  const times = await Promise.all(
    [...own, ...own].map(async (image, index) => {
      const begun = performance.now();
      const args = ["load", "-n", `${image}${index}`, `oci:${image}:x`];
      await store.succeed(args, { env: chain });
      return (performance.now() - begun) / 1000;
    }),
  );
  for (const [index, image] of [...own, ...own].entries()) {
    const path = `${dataset.path}/${image}${index}/etc`;
    assertEquals(await Deno.readTextFile(`${path}/common`), "1\n");
    assertEquals(await Deno.readTextFile(`${path}/${image}`), `${image}\n`);
  }
  assertEquals((await layersOf(store)).length, 2 + own.length);
  assertEquals((await dataset.contents()).filter((name) => name.includes(".tmp")), []);
  const order = times.map((time) => time.toFixed(0)).join(" ");
  console.log(`ten imports at once, in seconds: ${order}`);
}

async function layersOf({ dataset }: ZfsBed): Promise<string[]> {
  return (await dataset.contents()).filter((name) => /^\.layers\/[^@]+$/.test(name));
}

if (import.meta.main) {
  assert((await zfs("version")).includes("zfs"));
  await manyImports();
  await manyLayers();
}
