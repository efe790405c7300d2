import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { cachedSampleImage } from "../support/cached_sample.ts";
import { run } from "../support/command.ts";
import { assertSameTree, describeTree } from "../support/tree.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };

/** The layers of a store: their names, by the names of their origins. */
async function layers({ dataset }: ZfsBed): Promise<Map<string, string>> {
  const names = (await dataset.contents()).filter((name) => /^\.layers\/[^@]+$/.test(name));
  const origins = await Promise.all(names.map((name) => dataset.property(name, "origin")));
  return new Map(names.map((name, index) => {
    const origin = origins[index] ?? "";
    return [name.slice(".layers/".length), origin.replace(/^.*\/|@done$/g, "")];
  }));
}

Deno.test("images share the layers that they begin with, as a plain user", async (t) => {
  await using store = await ZfsBed.make("plain user");
  const { bed, dataset } = store;
  const [a, b, x] = [{ "etc/a": "a\n" }, { "etc/b": "b\n" }, { "etc/x": "x\n" }];
  await makeBusyboxImage(`${bed.work}/ax`, "t", a, x);
  await makeBusyboxImage(`${bed.work}/bx`, "t", b, x);
  await makeBusyboxImage(`${bed.work}/twice`, "t", { "etc/x": "1\n" }, { "etc/x": "2\n" }, {
    "etc/x": "1\n",
  });
  await bed.own();
  const load = (image: string, name = image): Promise<string> =>
    store.succeed(["load", "-n", name, `oci:${image}:t`], { env: chain });
  const etc = (name: string): string[] =>
    [...Deno.readDirSync(`${dataset.path}/${name}/etc`)].map((entry) => entry.name)
      .filter((each) => each.length === 1).sort();

  await t.step("the flag is off by default: no layers are kept apart", async () => {
    await store.succeed(["load", "-n", "plain", "oci:ax:t"]);
    assertEquals((await dataset.contents()).filter((name) => name.startsWith(".layers")), []);
    const { path } = dataset;
    assertEquals(etc("plain"), ["a", "x"]);
    await store.succeed(["remove", "-f", "plain"]);
    const [template] = (await dataset.contents()).filter((name) =>
      /^\.templates\/[^@]+$/.test(name)
    );
    await zfs("destroy", "-r", `${dataset.name}/${template}`);
    assertEquals(await Deno.stat(path).then(() => true), true);
  });

  await t.step("two images on one base: the base is there once, with two branches", async () => {
    await load("ax");
    await load("bx");
    assertEquals([etc("ax"), etc("bx")], [["a", "x"], ["b", "x"]]);
    const found = await layers(store);
    assertEquals(found.size, 5);
    const bases = [...found].filter(([, origin]) => origin === "-").map(([name]) => name);
    assertEquals(bases.length, 1);
    assertEquals([...found.values()].filter((origin) => origin === bases[0]).length, 2);
  });

  await t.step("the byte-identical layer on two parents is two datasets", async () => {
    const names = [...(await layers(store)).keys()];
    const digests = await Promise.all(
      names.map((name) => dataset.property(`.layers/${name}`, "enroot:layer-digest")),
    );
    const [x] = digests.filter((digest, index) => digests.indexOf(digest) !== index);
    assert(x !== undefined);
    const twins = names.filter((_, index) => digests[index] === x);
    assertEquals(twins.length, 2);
    for (const name of names) {
      const get = (property: string): Promise<string> =>
        dataset.property(`.layers/${name}`, property);
      assertEquals(await get("enroot:chain-id"), `sha256:${name}`);
      assertStringIncludes(await get("enroot:diff-id"), "sha256:");
      assertEquals([await get("readonly"), await get("canmount")], ["on", "noauto"]);
    }
    assertEquals([...(await dataset.mounted()).keys()].sort(), ["ax", "bx"]);
  });

  await t.step("the same layer twice in one image has what lies between", async () => {
    await load("twice");
    assertEquals(await Deno.readTextFile(`${dataset.path}/twice/etc/x`), "1\n");
    const own = [...await layers(store)].length;
    assertEquals(own, 8);
  });

  await t.step(
    "a template that is gone is made again of its layers, without reading one",
    async () => {
      await store.succeed(["import", "-o", "p.sqsh", "oci:ax:t"], { env: chain });
      await store.succeed(["remove", "-f", "ax"]);
      const pointer = await Deno.readTextFile(`${bed.work}/p.sqsh`);
      const [, id] = /^image-config-sha256=(.*)$/m.exec(pointer) ?? [];
      await zfs("destroy", "-r", `${dataset.name}/.templates/${id}`);
      const before = await layers(store);
      // The layers' own bytes are gone from where they came.
      for (const { name } of Deno.readDirSync(`${bed.work}/ax/blobs/sha256`)) {
        const path = `${bed.work}/ax/blobs/sha256/${name}`;
        if ((await Deno.stat(path)).size > 10_000) await Deno.writeTextFile(path, "nothing");
      }
      await store.succeed(["create", "-n", "ax", "p.sqsh"], { env: chain });
      assertEquals(etc("ax"), ["a", "x"]);
      assertEquals(await layers(store), before);
    },
  );

  await t.step("imports of overlapping images at once build each layer once", async () => {
    await makeBusyboxImage(`${bed.work}/big`, "t", { "etc/q": "q\n" }, { "etc/r": "r\n" });
    await makeBusyboxImage(`${bed.work}/big2`, "t", { "etc/q": "q\n" }, { "etc/s": "s\n" });
    await bed.own();
    const before = (await layers(store)).size;
    const names = ["big", "big2", "big", "big2"].map((image, index) =>
      [image, `n${index}`] as const
    );
    await Promise.all(names.map(([image, name]) => load(image, name)));
    for (const [image, name] of names) {
      assertEquals(etc(name), image === "big" ? ["q", "r"] : ["q", "s"]);
    }
    assertEquals((await layers(store)).size, before + 3);
    assertEquals((await dataset.contents()).filter((name) => name.includes(".tmp")), []);
  });

  await t.step("what a killed import left, one layer on another, goes with the next", async () => {
    // As it is when the next layer was begun before the one below was in place.
    const [below = "", above = ""] = ["a", "b"].map((letter) => letter.repeat(64));
    const folder = `${dataset.name}/.layers`;
    await zfs("create", "-u", "-o", "canmount=noauto", `${folder}/${below}.tmp`);
    await zfs("snapshot", `${folder}/${below}.tmp@done`);
    const clone = [`${folder}/${below}.tmp@done`, `${folder}/${above}.tmp`];
    await zfs("clone", "-o", "canmount=noauto", ...clone);
    for (const id of [below, above]) {
      const place = `${dataset.path}/.layers/${id}.tmp`;
      await Deno.mkdir(place);
      await run(["mount", "-t", "zfs", "-o", "zfsutil", `${folder}/${id}.tmp`, place]);
      await Deno.chown(place, bed.uid, bed.uid);
      await Deno.writeTextFile(`${dataset.path}/.locks/l-${id}`, "1\n");
    }
    await run(["chown", "-R", `${bed.uid}:${bed.uid}`, `${dataset.path}/.locks`]);
    await makeBusyboxImage(`${bed.work}/more`, "t", { "etc/m": "m\n" });
    await bed.own();
    await load("more");
    assertEquals((await dataset.contents()).filter((name) => name.includes(".tmp")), []);
    const locks = [...Deno.readDirSync(`${dataset.path}/.locks`)].map(({ name }) => name);
    assertEquals(locks.filter((name) => name.startsWith("l-")), []);
  });
});

Deno.test("a chain of layers makes the same tree as one dataset", async () => {
  await using store = await ZfsBed.make("root");
  const { bed, dataset } = store;
  await run(["cp", "-r", await cachedSampleImage(), `${bed.work}/layout`]);
  await store.succeed(["load", "-n", "whole", "oci:layout:sample"]);
  const [template = ""] = (await dataset.contents()).filter((name) =>
    /^\.templates\/[^@]+$/.test(name)
  );
  // Out of the way: the same image would be found there.
  await zfs("promote", `${dataset.name}/whole`);
  await zfs("destroy", "-r", `${dataset.name}/${template}`);
  await store.succeed(["load", "-n", "chained", "oci:layout:sample"], { env: chain });
  assertNotEquals((await layers(store)).size, 0);
  const options = { owners: true, nanoseconds: true };
  assertSameTree(
    await describeTree(`${dataset.path}/chained`, options),
    await describeTree(`${dataset.path}/whole`, options),
    "the trees differ",
  );
});
