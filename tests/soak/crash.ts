/**
 * `kill -9` at a hundred moments of commands on ZFS, chosen by a seed.
 *
 * @module
 */

import { crash } from "../support/crash.ts";
import { onZfs } from "./on_zfs.ts";

/** How many commands are killed on one store, and on how many stores. */
const points = 10;
const stores = 10;

/** What is wrong is found again with the same one. */
const seed = 1_000;

/** Run it where OpenZFS is. @returns what was wrong */
export function checkCrash(): Promise<string[]> {
  return onZfs("tests/soak/crash.ts", 7200, "something was wrong after kill -9");
}

if (import.meta.main) {
  const wrong: unknown[] = [];
  for (let store = 0; store < stores; store++) {
    try {
      await crash({
        user: store % 3 === 2 ? "root" : "plain user",
        seed: seed + store,
        points,
        rebootEvery: 4,
        log: (line) => console.log(line),
      });
    } catch (error) {
      console.log("WRONG:", error);
      wrong.push(error);
    }
  }
  console.log(`${stores * points} points, ${wrong.length} of ${stores} stores wrong`);
  Deno.exit(wrong.length === 0 ? 0 : 1);
}
