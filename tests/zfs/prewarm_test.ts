import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { startFaultProxy } from "../support/fault_proxy.ts";
import { pushImage } from "../support/oci_layout.ts";
import { openRandomImage } from "../support/random_image.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

const names = ["a", "b", "c"];

/** What is in a store below a folder, without snapshots. */
async function below({ dataset }: ZfsBed, folder: string): Promise<string[]> {
  return (await dataset.contents()).filter((name) =>
    name.startsWith(`${folder}/`) && !name.includes("@")
  );
}

for (const chain of [false, true]) {
  const mode = chain ? "layer by layer" : "as templates";
  Deno.test(`a list of images is made ready in the store, ${mode}, as a plain user`, async (t) => {
    await using registry = await startRegistry();
    await using proxy = startFaultProxy(registry.port);
    await using store = await ZfsBed.make("plain user");
    const { bed } = store;
    const env: Record<string, string> = chain ? { ENROOT_ZFS_LAYER_CHAIN: "y" } : {};
    for (const name of names) {
      // All stand on one busybox, and `c` is `a` by another name.
      const own = { [`etc/${name === "c" ? "a" : name}`]: "text\n" };
      await makeBusyboxImage(`${bed.work}/${name}.layout`, "t", own);
      await pushImage(`${bed.work}/${name}.layout`, "t", `127.0.0.1:${registry.port}/${name}:1`);
    }
    const uris = names.map((name) => `docker://${proxy.host}/${name}:1`);
    await Deno.writeTextFile(`${bed.work}/list`, uris.join("\n"));
    await bed.own();

    await t.step("each image once, and what they share is fetched once", async () => {
      const { code, stdout, stderr } = await store.enroot(["prewarm", "list"], { env });
      assertEquals(code, 0, `${stdout}${stderr}`);
      assertEquals(stdout.trimEnd().split("\n").filter((line) => line.startsWith("ok ")).length, 3);
      assertMatch(stderr, /^\[INFO\] 3 images ready: /m);
      assertEquals((await below(store, ".templates")).length, 2);
      // The busybox, and a layer of each of the two above it.
      assertEquals((await below(store, ".layers")).length, chain ? 3 : 0);
      const blobs = proxy.requests.filter(({ path }) => path.includes("/blobs/"));
      assertEquals(new Set(blobs.map(({ path }) => path.replace(/.*\//, ""))).size, blobs.length);
    });

    await t.step("what is there is said to have been there", async () => {
      const { code, stdout } = await store.enroot(["prewarm", "-j", "1", "list"], { env });
      assertEquals(code, 0);
      const lines = stdout.trimEnd().split("\n");
      assertEquals(lines.length, 3);
      for (const line of lines) assert(line.endsWith("; it was there"), line);
    });

    await t.step("what nobody used for long stays, because it is wanted again", async () => {
      const templates = await below(store, ".templates");
      for (const name of templates) {
        await zfs("set", "enroot:last_used=1000000000", `${store.dataset.name}/${name}`);
      }
      const cold = { ...env, ENROOT_TEMPLATE_WARM_SECONDS: "3600" };
      const { code, stdout } = await store.enroot(["prewarm", "list"], { env: cold });
      assertEquals(code, 0, stdout);
      await store.succeed(["cache", "prune"], { env: cold });
      assertEquals(await below(store, ".templates"), templates);
    });

    await t.step("containers are then clones, made without the registry", async () => {
      await store.succeed(["import", "-o", "a.sqsh", uris[0] ?? ""], { env });
      const asked = proxy.requests.length;
      await store.succeed(["create", "-n", "x", "a.sqsh"], { env });
      assertEquals(proxy.requests.length, asked);
      assertEquals(await Deno.readTextFile(`${store.dataset.path}/x/etc/a`), "text\n");
      await store.succeed(["remove", "-f", "x"], { env });
    });

    await t.step("--format=pointer writes the files that containers are made of", async () => {
      const { code, stdout } = await store.enroot(["prewarm", "-f", "pointer", "list"], { env });
      assertEquals(code, 0, stdout);
      for (const name of names) {
        const file = `${name}+1.sqsh`;
        assertMatch(await Deno.readTextFile(`${bed.work}/${file}`), /^enroot-zfs-image:v1\n/);
        await store.succeed(["create", "-n", name, file], { env });
      }
      await store.succeed(["remove", "-f", ...names], { env });
    });

    await t.step("layouts are made ready, too; what fails leaves nothing", async () => {
      const list = [`oci:${bed.work}/b.layout:t`, `docker://${proxy.host}/missing:1`].join("\n");
      const { code, stdout } = await store.enroot(["prewarm", "-"], { env, input: list });
      assertEquals(code, 1);
      assertMatch(stdout, /^ok {4}oci:\S+: 2 layers, .*; it was there$/m);
      assertMatch(stdout, /^fail {2}docker:\S+\/missing:1: there is no such image/m);
      const left = await below(store, ".templates");
      assertEquals([left.length, left.filter((name) => name.endsWith(".tmp"))], [2, []]);
    });
  });
}

Deno.test("images that have no room beside each other are said to be gone again", async () => {
  await using first = await openRandomImage([12]);
  await using second = await openRandomImage([12]);
  await using store = await ZfsBed.make("root");
  await zfs("set", "quota=20M", store.dataset.name);
  const uris = [first, second].map(({ port, name }) => `docker://127.0.0.1:${port}/${name}`);
  const { code, stdout, stderr } = await store.enroot(["prewarm", "-j", "1", "-"], {
    input: uris.join("\n"),
  });
  assertEquals(code, 1, `${stdout}${stderr}`);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.slice(0, 2).map((line) => line.startsWith("ok ")), [true, true]);
  assert(lines[2]?.startsWith(`fail  ${uris[0]}: its template had to go again`), stdout);
  assertMatch(stderr, /^\[ERROR\] 1 of 2 images failed, 1 ready/m);
  assertEquals((await below(store, ".templates")).length, 1);
});
