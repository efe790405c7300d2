/**
 * A large store: with 1,000 containers and 200 templates a command costs at most twice what it costs with 10.
 *
 * @module
 */

import { assert } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { populate } from "../support/populate.ts";
import { ZfsBed } from "../support/zfs_bed.ts";
import { onZfs } from "./on_zfs.ts";

/** How often a command is run: the median counts. */
const times = 9;

/** How much more it may cost. */
const most = 2;

/** Run it where OpenZFS is. @returns what was wrong */
export function checkScale(): Promise<string[]> {
  return onZfs("tests/soak/scale.ts", 3600, "commands on a large store take too long");
}

async function main(): Promise<void> {
  await using store = await ZfsBed.make("plain user");
  const { bed, dataset } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x");
  await bed.own();
  await store.succeed(["import", "-o", "image.sqsh", "oci:layout:x"]);
  const measure = async (): Promise<Record<string, number>> => {
    const all: Record<string, number[]> = { create: [], list: [], remove: [] };
    for (let count = 0; count < times; count++) {
      for (
        const [what, args] of [
          ["create", ["-n", "new", "image.sqsh"]],
          ["list", []],
          ["remove", ["-f", "new"]],
        ] as const
      ) {
        const began = performance.now();
        await store.succeed([what, ...args]);
        all[what]?.push(performance.now() - began);
      }
    }
    return Object.fromEntries(Object.entries(all).map(([what, each]) => [what, median(each)]));
  };
  await populate(dataset, { first: 1, templates: 10, containers: 10 });
  const small = await measure();
  console.log("10 containers, 10 templates, in ms:", small);
  await populate(dataset, { first: 100, templates: 190, containers: 990 });
  const large = await measure();
  console.log("1,000 containers, 200 templates, in ms:", large);
  for (const [what, time] of Object.entries(large)) {
    const ratio = time / (small[what] ?? 0);
    assert(ratio <= most, `${what} takes ${ratio.toFixed(1)} times as long`);
  }
}

function median(numbers: readonly number[]): number {
  return Math.round(numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0);
}

if (import.meta.main) await main();
