/**
 * What most command-line tests need: the sample image in a layout and in a real registry.
 *
 * @module
 */

import { run } from "./command.ts";
import { pushImage } from "./oci_layout.ts";
import { startRegistry } from "./registry.ts";
import { makeSampleImage } from "./sample_image.ts";

/** The sample image, see {@linkcode openFixture}. */
export interface Fixture extends AsyncDisposable {
  /** A folder that any user can read, for more files. */
  readonly folder: string;
  /** The sample image's layout folder; its tag is `sample`. */
  readonly layout: string;
  /** The registry's port on 127.0.0.1. */
  readonly port: number;
  /** The sample image in the registry: `127.0.0.1:PORT/team/sample:1.0`. */
  readonly image: string;
}

/** Make the sample image, start a registry and push it there. Disposing of it takes all away. */
export async function openFixture(): Promise<Fixture> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-fixture-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const layout = `${folder}/layout`;
  await makeSampleImage(layout);
  await openToAll(folder);
  const registry = stack.use(await startRegistry());
  const image = `127.0.0.1:${registry.port}/team/sample:1.0`;
  await pushImage(layout, "sample", image);
  const kept = stack.move();
  return {
    folder,
    layout,
    port: registry.port,
    image,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Let every user read a folder. */
export async function openToAll(folder: string): Promise<void> {
  await run(["chmod", "-R", "a+rX", folder]);
}
