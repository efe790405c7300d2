/**
 * A small image in a real registry, for tests of what is around it.
 *
 * @module
 */

import { run } from "./command.ts";
import { OciLayout, pushImage } from "./oci_layout.ts";
import { startRegistry } from "./registry.ts";

/** The data of a registry with an image. Disposing of it stops a registry and removes the data. */
export interface SmallImage extends AsyncDisposable {
  /** A registry's folder, for other registries to share. */
  readonly data: string;
  /** A registry with that data, open to all, without TLS. */
  readonly port: number;
}

/**
 * Make an image of two layers.
 *
 * @param names what it is called in the registry, each with the tag `1`
 */
export async function makeSmallImage(names: readonly string[]): Promise<SmallImage> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-small-image-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { data, port } = stack.use(await startRegistry());
  const layout = await OciLayout.create(`${folder}/layout`);
  const layers = [];
  for (const name of ["one", "two"]) {
    await Deno.writeTextFile(`${folder}/${name}`, name);
    await run(["tar", "-cf", `${folder}/${name}.tar`, "-C", folder, name]);
    layers.push(await layout.putLayer(`${folder}/${name}.tar`, "gzip"));
  }
  await layout.tag("app", await layout.putImage(layers));
  for (const name of names) await pushImage(layout.path, "app", `127.0.0.1:${port}/${name}:1`);
  const kept = stack.move();
  return { data, port, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
