import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { run } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

/**
 * A store as zfs.4 and zfs.5 left it: templates by the ID of their image, without a mark, their parents mounted;
 * layers by their own digest; a container that is a clone of a template. What is in the template is not what the
 * image says, as it could be there.
 */
async function makeOldStore({ bed, dataset }: ZfsBed, imageId: string): Promise<void> {
  const { name: store, path } = dataset;
  const own = (below: string): Promise<string> =>
    run(["chown", "-R", `${bed.uid}:${bed.uid}`, `${path}/${below}`]);
  for (const name of [".templates", ".ephemeral", ".layers"]) {
    await zfs("create", `${store}/${name}`);
    await own(name);
  }
  const properties = ["enroot:uri=docker://old:1", "enroot:last_used=1746057681"];
  for (
    const [below, snapshot] of [[`.templates/${imageId}`, "pristine"], [
      `.layers/${"1".repeat(64)}`,
      "done",
    ]]
  ) {
    await zfs("create", ...properties.flatMap((each) => ["-o", each]), `${store}/${below}`);
    await run(["cp", "-R", `${bed.temp}/old/.`, `${path}/${below}`]);
    await own(below ?? "");
    await zfs("snapshot", `${store}/${below}@${snapshot}`);
    await zfs("set", "canmount=noauto", `${store}/${below}`);
    await zfs("unmount", `${store}/${below}`);
  }
  await zfs(
    "clone",
    "-o",
    "canmount=noauto",
    `${store}/.templates/${imageId}@pristine`,
    `${store}/kept`,
  );
}

for (const user of slowUsers) {
  Deno.test(`a store of zfs.5, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const store = stack.use(await ZfsBed.make(user));
    const { bed, dataset } = store;
    const layout = await makeBusyboxImage(`${bed.temp}/layout`, "x", { "etc/motd": "right\n" });
    const image = `127.0.0.1:${registry.port}/team/image:1`;
    await pushImage(layout.path, "x", image);
    const imageId = await configOf(layout.path);
    await bed.succeed(["load", "-n", "old", `oci:${layout.path}:x`]);
    await run(["cp", "-R", `${bed.data}/old`, `${bed.temp}/old`]);
    await Deno.writeTextFile(`${bed.temp}/old/etc/motd`, "wrong\n");
    await makeOldStore(store, imageId);
    const cat = (name: string): Promise<string> =>
      store.succeed(["start", name, "cat", "/etc/motd"]);
    // As it was typed, and not in full; of a daemon's image there is no digest of a manifest.
    const pointer = `enroot-zfs-image:v1
image-config-sha256=${imageId}
arch=${Deno.build.arch === "aarch64" ? "arm64" : "amd64"}
uri=docker://${image}
imported=2026-04-29T18:23:11Z
`;
    await Deno.writeTextFile(`${bed.work}/old.sqsh`, pointer);

    await t.step("its containers are there, and start", async () => {
      assertEquals(await store.succeed(["list"]), "kept\n");
      assertEquals(await cat("kept"), "wrong\n");
    });

    await t.step("its pointers make containers, and its templates none", async () => {
      const { code, stderr } = await store.enroot(["create", "-n", "new", "old.sqsh"]);
      assertEquals(code, 0, stderr);
      assertMatch(stderr, /\.templates was filled by another version of enroot and is not used/);
      assertEquals(await cat("new"), "right\n");
      const origin = await dataset.property("kept", "origin");
      assertEquals(origin, `${dataset.name}/.templates-aside/${imageId}@pristine`);
      assertEquals(await dataset.property(".templates", "enroot:layout"), "2");
    });

    await t.step("that is said once, and from then on a create is a clone", async () => {
      const { code, stderr } = await store.enroot(["create", "-n", "next", "old.sqsh"]);
      assertEquals(code, 0, stderr);
      assert(!/another version|Opening/.test(stderr), stderr);
      assertEquals(await cat("next"), "right\n");
      assertEquals(await cat("kept"), "wrong\n");
    });

    await t.step("an image starts where throw-away clones were kept before", async () => {
      assertEquals(await store.succeed(["start", "old.sqsh", "cat", "/etc/motd"]), "right\n");
    });

    await t.step("its layers are set aside by the first chain", async () => {
      await store.succeed(["remove", "-f", "new", "next"]);
      const chain = { env: { ENROOT_ZFS_LAYER_CHAIN: "y", ENROOT_TEMPLATE_WARM_SECONDS: "0" } };
      await store.succeed(["cache", "prune"], chain);
      const { code, stderr } = await store.enroot(
        ["load", "-n", "chained", `docker://${image}`],
        chain,
      );
      assertEquals(code, 0, stderr);
      assertStringIncludes(stderr, ".layers was filled by another version of enroot");
      assertEquals(await cat("chained"), "right\n");
      assertEquals(await dataset.property(`.layers-aside/${"1".repeat(64)}`, "type"), "filesystem");
    });

    await t.step("what was set aside goes when nothing is a clone of it any more", async () => {
      await store.succeed(["remove", "-f", "kept"]);
      for (const name of [".templates-aside", ".layers-aside"]) {
        await zfs("destroy", "-r", `${dataset.name}/${name}`);
      }
      assertEquals(await cat("chained"), "right\n");
    });
  });
}

/** The ID of a layout's only image, in hex. */
async function configOf(layout: string): Promise<string> {
  const read = async (
    path: string,
  ): Promise<Record<string, { digest: string }[] & { digest: string }>> =>
    JSON.parse(await Deno.readTextFile(`${layout}/${path}`));
  const [manifest] = (await read("index.json"))["manifests"] ?? [];
  const { config } = await read(`blobs/${manifest?.digest.replace(":", "/")}`);
  assert(config !== undefined);
  return config.digest.slice("sha256:".length);
}
