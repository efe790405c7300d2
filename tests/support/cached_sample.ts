/**
 * The sample image, made once and kept: where making it takes long, as in a virtual machine.
 *
 * @module
 */

import { openToAll } from "./fixture.ts";
import { makeSampleImage } from "./sample_image.ts";

/**
 * The sample image as an OCI layout, tag `sample`, from the user's cache folder; made when it is not
 * there. Every user can read it, if the folders above let him.
 *
 * @returns the layout's folder
 */
export async function cachedSampleImage(): Promise<string> {
  const home = Deno.env.get("HOME") ?? "/root";
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/zenroot-tests`;
  // Another recipe makes another image.
  const recipe = await Deno.readFile(new URL("sample_image.ts", import.meta.url));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", recipe)).toHex().slice(0, 12);
  const kept = `${cache}/sample-${Deno.build.arch}-${hash}`;
  try {
    await Deno.stat(`${kept}/index.json`);
    return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.mkdir(cache, { recursive: true });
  const scratch = await Deno.makeTempDir({ dir: cache, prefix: "making-" });
  try {
    await makeSampleImage(`${scratch}/layout`);
    await openToAll(`${scratch}/layout`);
    await Deno.rename(`${scratch}/layout`, kept);
  } catch (error) {
    // Somebody else made it meanwhile.
    if (!(await Deno.stat(`${kept}/index.json`).then(() => true, () => false))) throw error;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  return kept;
}
