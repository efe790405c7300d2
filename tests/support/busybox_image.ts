/**
 * The smallest image that runs: a busybox and little else. For tests where time is short.
 *
 * @module
 */

import { run } from "./command.ts";
import { listFolder, tarPaths } from "./layer_tar.ts";
import { OciLayout, type StoredLayer } from "./oci_layout.ts";

/** What is put into an image beside busybox: text files by their paths. */
export type Files = Readonly<Record<string, string>>;

/**
 * Write an image to a layout folder, tagged; each set of files is a layer of its own above busybox.
 *
 * @param path the layout's folder; it must not exist
 */
export async function makeBusyboxImage(
  path: string,
  tag: string,
  ...layers: readonly Files[]
): Promise<OciLayout> {
  const scratch = await Deno.makeTempDir({ prefix: "zenroot-busybox-" });
  try {
    const layout = await OciLayout.create(path);
    await addBusyboxImage(layout, tag, scratch, layers);
    return layout;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

async function addBusyboxImage(
  layout: OciLayout,
  tag: string,
  scratch: string,
  layers: readonly Files[],
): Promise<void> {
  const base = `${scratch}/0`;
  for (const name of ["bin", "etc", "dev", "proc", "sys", "tmp", "var", "root"]) {
    await Deno.mkdir(`${base}/${name}`, { recursive: true });
  }
  await run(["cp", "/bin/busybox", `${base}/bin/busybox`]);
  for (const name of ["sh", "cat", "echo", "env", "id", "ls", "mkdir", "rm", "sleep", "true"]) {
    await Deno.symlink("busybox", `${base}/bin/${name}`);
  }
  await Deno.writeTextFile(`${base}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  const stored: StoredLayer[] = [await putFolder(layout, base)];
  for (const [index, files] of layers.entries()) {
    const folder = `${scratch}/${index + 1}`;
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    stored.push(await putFolder(layout, folder));
  }
  await layout.tag(tag, await layout.putImage(stored, { config: { Env: ["PATH=/bin"] } }));
}

async function putFolder(layout: OciLayout, folder: string): Promise<StoredLayer> {
  const tar = `${folder}.tar`;
  await tarPaths(tar, folder, await listFolder(folder));
  return await layout.putLayer(tar, "gzip");
}
