/**
 * Looking into a blob cache from outside, as other programs would.
 *
 * @module
 */

import { run } from "./command.ts";

/**
 * The names of a cache's blobs and partial ones. Every blob must be what its name says.
 *
 * @param cache `ENROOT_CACHE_PATH`
 * @throws {Error} naming a blob that is not
 */
export async function blobsOf(cache: string): Promise<{ whole: string[]; partial: string[] }> {
  const folder = `${cache}/blobs/sha256`;
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const whole = names.filter((name) => /^[0-9a-f]{64}$/.test(name));
  const partial = names.filter((name) => /^[0-9a-f]{64}\.partial$/.test(name));
  const odd = names.filter((name) => !whole.includes(name) && !partial.includes(name));
  if (odd.length > 0) throw new Error(`odd names in the cache: ${odd.join(", ")}`);
  const sums = whole.length === 0 ? "" : await run(["sha256sum", ...whole], { cwd: folder });
  for (const line of sums.split("\n").filter((each) => each !== "")) {
    const [sum, name] = line.split(/ [ *]/);
    if (sum !== name) throw new Error(`the blob ${name} is ${sum}`);
  }
  return { whole, partial };
}
