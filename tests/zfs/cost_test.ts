import { assert, assertEquals } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { populate } from "../support/populate.ts";
import { startRegistry } from "../support/registry.ts";
import { run } from "../support/command.ts";
import { trace } from "../support/trace.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

Deno.test("cached images cost few processes, and a re-import opens no layer", async (t) => {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const store = stack.use(await ZfsBed.make("root"));
  const { bed } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x");
  const image = `127.0.0.1:${registry.port}/busybox:latest`;
  await pushImage(`${bed.work}/layout`, "x", image);
  const log: (readonly string[])[] = [];
  // Unpacking the executable, and the first import, are no part of it.
  await store.succeed(["import", "-o", "a.sqsh", `docker://${image}`]);

  const small = { first: 1, templates: 1, containers: 1 };
  const large = { first: 100, templates: 3, containers: 9 };
  for (const more of [small, large]) {
    await populate(store.dataset, more);
    await t.step(`with ${more.containers} more containers the same`, async () => {
      log.push([
        ...(await trace(store, ["create", "-n", "more", "a.sqsh"])).zfs,
        ...(await trace(store, ["list"])).zfs,
      ]);
      await store.succeed(["remove", "-f", "more"]);
    });
  }
  const [few = [], many = []] = log.map((each) => each.map((line) => line.replaceAll(/\d+/g, "N")));
  assert(few.length > 0);
  assertEquals(many, few);
  await t.step("`import` of a cached image: at most 3 zfs, no layer", async () => {
    const { zfs, opened } = await trace(store, ["import", "-o", "b.sqsh", `docker://${image}`]);
    assert(zfs.length > 0 && zfs.length <= 3, `${zfs.length} zfs processes`);
    const blobs = opened.filter((path) => path.includes("/blobs/sha256/"));
    const large = blobs.filter((path) => Deno.statSync(path).size > 100_000);
    assertEquals(large, []);
  });
  await t.step("`create`: at most 2 zfs", async () => {
    const { zfs } = await trace(store, ["create", "-n", "c", "b.sqsh"]);
    assert(zfs.length > 0 && zfs.length <= 2, `${zfs.length} zfs processes`);
  });
  await t.step("`start` of a container: none", async () => {
    const { zfs } = await trace(store, ["start", "c", "true"]);
    assertEquals(zfs, []);
  });
  await t.step("`list`: 1 zfs", async () => {
    assertEquals((await trace(store, ["list"])).zfs.length, 1);
  });
  await t.step("`list` of many: none, but for those that are not mounted", async () => {
    const { dataset } = store;
    await populate(dataset, { first: 1000, templates: 1, containers: 110 });
    const names = (await dataset.contents()).filter((name) => /^[^.@/][^@/]*$/.test(name)).sort();
    assert(names.length > 110);
    const listed = async (): Promise<string[]> =>
      (await store.succeed(["list"])).trimEnd().split("\n");
    assertEquals([(await trace(store, ["list"])).zfs, await listed()], [[], names]);
    await Deno.mkdir(`${dataset.path}/no-container`);
    const folder = `${dataset.path}/container-1050`;
    await run(["umount", folder]);
    assertEquals((await trace(store, ["list"])).zfs.length, 1);
    assertEquals(await listed(), names);
  });
  await t.step("`remove`: at most 3 zfs", async () => {
    const { zfs } = await trace(store, ["remove", "-f", "c"]);
    assert(zfs.length > 0 && zfs.length <= 3, `${zfs.length} zfs processes`);
  });
});
