import { assert, assertEquals } from "@std/assert";
import { OciLayout } from "../../../tests/support/oci_layout.ts";
import { parseDigest } from "../../oci/digest.ts";
import { dropBrokenNames, indexedImages, nameImage } from "./image_index.ts";

const type = "application/vnd.oci.image.layer.v1.tar";

/** A cache with two images, neither of which has a name. */
async function withCache(
  body: (
    cache: string,
    images: { manifest: string; layer: string }[],
    layout: OciLayout,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const layout = await OciLayout.create(`${folder}/cache`);
    const images = await Promise.all(["one", "two"].map(async (content) => {
      const descriptor = await layout.putBlob(type, new TextEncoder().encode(content));
      const layer = { descriptor, diffId: descriptor.digest };
      return { manifest: (await layout.putImage([layer])).digest, layer: descriptor.digest };
    }));
    await body(layout.path, images, layout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const name = (cache: string, text: string, manifest: string, architecture = "amd64") =>
  nameImage(cache, { name: text, manifestDigest: parseDigest(manifest), architecture });
const names = (cache: string): (string | undefined)[] =>
  indexedImages(cache).map((image) => image.name);
const entries = (cache: string): Record<string, unknown>[] =>
  JSON.parse(Deno.readTextFileSync(`${cache}/index.json`)).manifests;

Deno.test("a name goes to the image that had it last, one for each architecture", () =>
  withCache(async (cache, [one, two]) => {
    assert(one !== undefined && two !== undefined);
    assert(await name(cache, "h/x:1", one.manifest));
    assert(await name(cache, "h/y:1", one.manifest));
    assert(await name(cache, "h/x:1", two.manifest));
    assert(await name(cache, "h/x:1", one.manifest, "arm64"));
    assertEquals(
      entries(cache).map((each) => [each["digest"], each["mediaType"], each["platform"]]),
      [[one.manifest, "amd64"], [two.manifest, "amd64"], [one.manifest, "arm64"]].map(
        ([digest, architecture]) => [
          digest,
          "application/vnd.oci.image.manifest.v1+json",
          { os: "linux", architecture },
        ],
      ),
    );
    const [image] = indexedImages(cache);
    assertEquals([image?.isWhole, image?.blobs.size, image?.blobs.has(parseDigest(one.layer))], [
      true,
      3,
      true,
    ]);
    assertEquals([...Deno.readDirSync(cache)].map((each) => each.name).sort(), [
      "blobs",
      "index.json",
      "oci-layout",
    ]);
  }));

Deno.test("what has its name already is not written again", () =>
  withCache(async (cache, [one]) => {
    assert(one !== undefined);
    assert(await name(cache, "h/x:1", one.manifest));
    const { ino } = await Deno.stat(`${cache}/index.json`);
    assert(await name(cache, "h/x:1", one.manifest));
    assertEquals((await Deno.stat(`${cache}/index.json`)).ino, ino);
  }));

Deno.test("an image of which a part is missing gets no name, and loses the one it has", () =>
  withCache(async (cache, [one, two], layout) => {
    assert(one !== undefined && two !== undefined);
    assert(await name(cache, "h/x:1", one.manifest));
    assert(await name(cache, "h/y:1", two.manifest));
    await Deno.remove(layout.blobPath(one.layer));
    assertEquals(await name(cache, "h/z:1", one.manifest), false);
    await dropBrokenNames(cache);
    assertEquals(names(cache), ["h/y:1"]);
    await Deno.truncate(layout.blobPath(two.layer), 1);
    assertEquals(await name(cache, "h/z:1", two.manifest), false);
    await Deno.remove(layout.blobPath(two.manifest));
    assertEquals(await name(cache, "h/z:1", two.manifest), false);
  }));

Deno.test("what other tools wrote stays as it is, an index of theirs is followed", () =>
  withCache(async (cache, [one, two], layout) => {
    assert(one !== undefined && two !== undefined);
    const size = (digest: string): number => Deno.statSync(layout.blobPath(digest)).size;
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const gone = { mediaType, digest: `sha256:${"0".repeat(64)}`, size: 5 };
    const index = await layout.putIndex([
      gone,
      { mediaType, digest: two.manifest, size: size(two.manifest) },
    ]);
    const theirs = {
      ...index,
      annotations: { "org.opencontainers.image.ref.name": "theirs", more: "kept" },
      urls: ["x"],
    };
    const odd = { hello: "there" };
    await Deno.writeTextFile(
      `${cache}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [theirs, odd, gone] }),
    );
    assert(await name(cache, "h/x:1", one.manifest));
    assertEquals(entries(cache).slice(0, 3), [theirs, odd, gone]);
    const found = indexedImages(cache).find((image) => image.name === "theirs");
    assertEquals([found?.isWhole, found?.blobs.has(parseDigest(two.layer))], [true, true]);
    await dropBrokenNames(cache);
    assertEquals(entries(cache).length, 4, "what has no name is nobody's to take");
  }));

for (const text of ["", "{", "[]", '{"manifests": 5}', "null"]) {
  Deno.test(`a list that holds ${JSON.stringify(text)} is made anew`, () =>
    withCache(async (cache, [one]) => {
      assert(one !== undefined);
      await Deno.writeTextFile(`${cache}/index.json`, text);
      assertEquals(names(cache), []);
      assert(await name(cache, "h/x:1", one.manifest));
      assertEquals(names(cache), ["h/x:1"]);
    }));
}

Deno.test("the oldest of a thousand names goes", () =>
  withCache(async (cache, [one, two]) => {
    assert(one !== undefined && two !== undefined);
    assert(await name(cache, "h/first:1", one.manifest));
    const [entry] = entries(cache);
    const many = Array.from({ length: 1000 }, (_, index) => ({
      ...entry,
      annotations: { "org.opencontainers.image.ref.name": `h/x:${index}` },
    }));
    await Deno.writeTextFile(`${cache}/index.json`, JSON.stringify({ manifests: many }));
    assert(await name(cache, "h/last:1", two.manifest));
    const all = names(cache);
    assertEquals([all.length, all[0], all.at(-1)], [1000, "h/x:1", "h/last:1"]);
  }));

Deno.test("many that name images at once all get theirs", () =>
  withCache(async (cache, [one, two]) => {
    assert(one !== undefined && two !== undefined);
    const script = `
      const { nameImage } = await import(${
      JSON.stringify(import.meta.resolve("./image_index.ts"))
    });
      for (let index = 0; index < 25; index++) {
        const name = \`h/\${Deno.args[0]}:\${index}\`;
        const image = { name, manifestDigest: "${one.manifest}", architecture: "amd64" };
        if (!await nameImage("${cache}", image)) throw new Error("no name");
      }`;
    await Deno.writeTextFile(`${cache}/name.ts`, script);
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const outcomes = await Promise.all(["a", "b"].map((each) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--config", config, `${cache}/name.ts`, each],
      }).output()
    ));
    for (const { success, stderr } of outcomes) assert(success, new TextDecoder().decode(stderr));
    assertEquals(names(cache).length, 50);
  }));
