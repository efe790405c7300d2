import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import { Bed } from "../support/bed.ts";
import { file, folder, sha256 } from "../support/layer_place.ts";
import { OciLayout, type StoredLayer } from "../support/oci_layout.ts";
import { rawArchive } from "../support/raw_tar.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The most descriptors and threads that the program may have at once, whatever the image. */
const mostDescriptors = 64;
const mostThreads = 40;

/**
 * What layer `index` brings: a file of its own, a file that every layer brings, the end of another
 * layer's file, and now and then the end of a whole folder.
 */
function members(index: number): Bytes[] {
  return [
    folder(`d${index % 10}`),
    file(`d${index % 10}/own${index}`, `${index}`),
    file("last", `${index}`),
    ...(index % 3 === 2 ? [file(`d${(index - 1) % 10}/.wh.own${index - 1}`)] : []),
    ...(index % 100 === 99 ? [file(".wh.d5")] : []),
  ];
}

/** The files that there are when so many layers are applied, with their content. */
function expected(count: number): Map<string, string> {
  const files = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    if (index % 3 === 2) files.delete(`d${(index - 1) % 10}/own${index - 1}`);
    if (index % 100 === 99) {
      for (const path of files.keys()) if (path.startsWith("d5/")) files.delete(path);
    }
    files.set(`d${index % 10}/own${index}`, `${index}`);
    files.set("last", `${index}`);
  }
  return files;
}

/** Put an image of so many layers together. */
async function putImage(layout: OciLayout, count: number): Promise<void> {
  const layers: StoredLayer[] = [];
  for (let index = 0; index < count; index++) {
    const tar = rawArchive(...members(index));
    const stored = gzipSync(tar);
    const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
    layers.push({ descriptor: await layout.putBlob(mediaType, stored), diffId: sha256(tar) });
  }
  await layout.tag("x", await layout.putImage(layers));
}

function filesIn(root: string, path = ""): [path: string, content: string][] {
  return [...Deno.readDirSync(`${root}/${path}`)].flatMap(({ name, isDirectory }) => {
    const whole = `${path}${name}`;
    if (isDirectory) return whole === "etc" ? [] : filesIn(root, `${whole}/`);
    return whole === ".lock" ? [] : [[whole, Deno.readTextFileSync(`${root}/${whole}`)]];
  });
}

for (const count of [127, 500]) {
  Deno.test(`an image of ${count} layers gives the right tree, with few descriptors and threads`, async () => {
    await using bed = await Bed.make("root");
    await putImage(await OciLayout.create(`${bed.work}/layout`), count);
    await bed.own();

    const child = bed.start([bed.executable, "load", "-n", "loaded", "oci:layout:x"]);
    const said = new Response(child.stderr).text();
    await child.stdout.cancel();
    let isRunning = true;
    const status = child.status.finally(() => isRunning = false);
    const most = { fd: 0, task: 0 };
    let looks = 0;
    while (isRunning) {
      for (const kind of ["fd", "task"] as const) {
        try {
          const seen = [...Deno.readDirSync(`/proc/${child.pid}/${kind}`)].length;
          most[kind] = Math.max(most[kind], seen);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
      looks++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert((await status).success, await said);
    await said;
    assert(looks > 20, `it was looked at ${looks} times only`);
    assert(most.fd <= mostDescriptors, `${most.fd} descriptors were open at once`);
    assert(most.task <= mostThreads, `there were ${most.task} threads at once`);
    const tree = expected(count);
    assert(tree.size > count / 2);
    assertEquals(new Map(filesIn(`${bed.data}/loaded`).sort()), new Map([...tree].sort()));

    await bed.succeed(["import", "-o", "x.sqsh", "oci:layout:x"]);
    await bed.succeed(["create", "-n", "created", "x.sqsh"]);
    assertEquals(new Map(filesIn(`${bed.data}/created`).sort()), new Map([...tree].sort()));
  });
}
