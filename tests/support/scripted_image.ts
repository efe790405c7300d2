/**
 * Images of one layer that a shell script fills: for shapes that only a single test wants.
 *
 * @module
 */

import { run } from "./command.ts";
import { openToAll } from "./fixture.ts";
import { listFolder, tarPaths } from "./layer_tar.ts";
import { OciLayout } from "./oci_layout.ts";

const busybox = `
  mkdir bin etc; cp /bin/busybox bin/busybox
  for name in sh cat cp env id ls mkdir sleep true; do ln -s busybox bin/$name; done
  echo "root:x:0:0:root:/:/bin/sh" > etc/passwd`;

/**
 * Write an image to a layout folder, under the tag `x`.
 *
 * @param path the layout's folder; it must not exist
 * @param script runs in the folder that becomes the layer; a busybox is in it already
 * @param config of the image
 */
export async function makeScriptedImage(
  path: string,
  script: string,
  config: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const scratch = await Deno.makeTempDir({ prefix: "zenroot-scripted-" });
  try {
    const folder = await fillFolder(`${scratch}/root`, script);
    const tar = `${scratch}/layer.tar`;
    await tarPaths(tar, folder, await listFolder(folder));
    const layout = await OciLayout.create(path);
    const layer = await layout.putLayer(tar, "gzip");
    await layout.tag("x", await layout.putImage([layer], { config }));
    await openToAll(path);
  } finally {
    await run(["chmod", "-R", "u+rwX", scratch]);
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Write a squashfs file. @param options more words for `mksquashfs` */
export async function makeScriptedSquashfs(
  path: string,
  script: string,
  options: readonly string[] = [],
): Promise<void> {
  const scratch = await Deno.makeTempDir({ prefix: "zenroot-scripted-" });
  try {
    const folder = await fillFolder(`${scratch}/root`, script);
    await run(["mksquashfs", folder, path, "-noappend", "-quiet", "-no-progress", ...options]);
    await openToAll(path);
  } finally {
    await run(["chmod", "-R", "u+rwX", scratch]);
    await Deno.remove(scratch, { recursive: true });
  }
}

async function fillFolder(folder: string, script: string): Promise<string> {
  await Deno.mkdir(folder);
  await run(["bash", "-euc", `umask 022\n${busybox}\n${script}`], { cwd: folder });
  return folder;
}
