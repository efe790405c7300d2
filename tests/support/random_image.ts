/**
 * An image of incompressible layers in a registry: for tests that count bytes.
 *
 * @module
 */

import { run } from "./command.ts";
import { openToAll } from "./fixture.ts";
import { OciLayout, pushImage, type StoredLayer } from "./oci_layout.ts";
import { startRegistry } from "./registry.ts";

/** The image, see {@linkcode openRandomImage}. */
export interface RandomImage extends AsyncDisposable {
  /** The registry's port on 127.0.0.1. */
  readonly port: number;
  /** The image in the registry: `team/random:1`. */
  readonly name: string;
  readonly manifest: string;
  /** The digests of its layers, lowest first. */
  readonly layers: readonly string[];
  /** How many bytes each layer has. */
  readonly sizes: readonly number[];
  /** How many bytes its blobs have: each layer once, and the config. */
  readonly size: number;
  /** An empty folder that any user can read. */
  readonly folder: string;
}

/**
 * Make an image whose layers hold a file of random bytes each, and a registry that has it.
 *
 * @param mebibytes how much each layer holds; the same number twice in a row is the same layer twice
 */
export async function openRandomImage(mebibytes: readonly number[]): Promise<RandomImage> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-random-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await openToAll(folder);
  const scratch = await Deno.makeTempDir({ prefix: "zenroot-random-" });
  stack.defer(() => Deno.remove(scratch, { recursive: true }));

  const layout = await OciLayout.create(`${scratch}/layout`);
  const layers: StoredLayer[] = [];
  for (const [index, size] of mebibytes.entries()) {
    const before = layers.at(-1);
    if (before !== undefined && mebibytes[index - 1] === size) {
      layers.push(before);
      continue;
    }
    const file = `${scratch}/file${index}`;
    await run(["dd", "if=/dev/urandom", `of=${file}`, "bs=1M", `count=${size}`, "status=none"]);
    await run(["tar", "-cf", `${scratch}/tar`, "-C", scratch, `file${index}`]);
    layers.push(await layout.putLayer(`${scratch}/tar`, "gzip"));
  }
  const manifest = await layout.putImage(layers, { config: { Cmd: ["true"] } });
  await layout.tag("x", manifest);
  const registry = stack.use(await startRegistry());
  await pushImage(layout.path, "x", `127.0.0.1:${registry.port}/team/random:1`);
  const { config } = JSON.parse(await Deno.readTextFile(layout.blobPath(manifest.digest)));
  const unique = new Map(layers.map(({ descriptor: { digest, size } }) => [digest, size]));
  const kept = stack.move();
  return {
    port: registry.port,
    name: "team/random:1",
    manifest: manifest.digest,
    layers: layers.map(({ descriptor }) => descriptor.digest),
    sizes: layers.map(({ descriptor }) => descriptor.size),
    size: config.size + [...unique.values()].reduce((sum, size) => sum + size, 0),
    folder,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
