import { assertEquals, assertStringIncludes } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { describeTree } from "../support/tree.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

Deno.test("bundles are made of pointers and containers, and leave nothing in the store", async (t) => {
  await using store = await ZfsBed.make("plain user");
  const { bed } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/motd": "hello\n" });
  await bed.own();
  await store.succeed(["import", "-o", "pointer.sqsh", "oci:layout:x"]);
  await store.succeed(["create", "-n", "box", "pointer.sqsh"]);
  await store.succeed(["start", "-w", "box", "sh", "-c", "echo changed > /etc/motd"]);
  // The place of throw-away clones stays, and is empty.
  const contents = async (): Promise<string[]> =>
    (await store.dataset.contents()).filter((name) => name !== ".ephemeral");
  const before = await contents();

  for (const [image, said] of [["./pointer.sqsh", "hello\n"], ["box", "changed\n"]] as const) {
    await t.step(`${image} is bundled as it is`, async () => {
      await store.succeed(["bundle", "-c", "-f", "-o", "it.run", image]);
      assertEquals(await contents(), before);
      // It needs no store any more.
      const run = [`${bed.work}/it.run`, "-q"];
      const { code, stdout, stderr } = await bed.run([...run, "cat", "/etc/motd"]);
      assertEquals([code, stdout, stderr], [0, said, ""]);
    });
  }

  await t.step("a container's bundle is extracted as the container is", async () => {
    const { code, stderr } = await bed.run([`${bed.work}/it.run`, "-x", "there"]);
    assertEquals([code, stderr.includes("ERROR")], [0, false], stderr);
    const options = { without: [".lock"] };
    // The root folder is closed to others, and nothing else is different.
    const there = await Deno.stat(`${bed.work}/there`);
    assertEquals((there.mode ?? 0) & 0o7777, 0o700);
    const box = await Deno.stat(`${store.dataset.path}/box`);
    await Deno.chmod(`${bed.work}/there`, (box.mode ?? 0) & 0o7777);
    assertEquals(
      await describeTree(`${bed.work}/there`, options),
      await describeTree(`${store.dataset.path}/box`, options),
    );
  });

  await t.step("on folders a pointer is refused, and the message says what to do", async () => {
    const { code, stderr } = await bed.enroot(["bundle", "-o", "no.run", "./pointer.sqsh"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "ENROOT_STORAGE_BACKEND=zfs");
  });
});
