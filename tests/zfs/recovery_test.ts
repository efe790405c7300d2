import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

Deno.test("what is gone or half-made is made again, as a plain user", async (t) => {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const store = stack.use(await ZfsBed.make("plain user"));
  const { bed, dataset } = store;
  const host = `127.0.0.1:${registry.port}`;
  await makeBusyboxImage(`${bed.work}/one`, "x", { "etc/motd": "one\n" });
  await makeBusyboxImage(`${bed.work}/two`, "x", { "etc/motd": "two\n" });
  await pushImage(`${bed.work}/one`, "x", `${host}/moving:tag`);
  await bed.own();

  const template = async (): Promise<string> =>
    (await dataset.contents()).find((name) => /^\.templates\/[0-9a-f]{64}$/.test(name)) ?? "";
  const destroyTemplate = async (): Promise<void> => {
    await zfs("destroy", "-R", `${dataset.name}/${await template()}`);
  };

  await t.step("a fill that was killed is taken over at once by the next import", async () => {
    const child = bed.start([
      bed.executable,
      "import",
      "-o",
      "a.sqsh",
      `docker://${host}/moving:tag`,
    ], {
      env: store.env,
    });
    const deadline = Date.now() + 180_000;
    for (;;) {
      assert(Date.now() < deadline, "the fill never began");
      if ([...(await dataset.mounted()).keys()].some((name) => name.endsWith(".tmp"))) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill("SIGKILL");
    await child.status;
    await child.stdout.cancel();
    await child.stderr.cancel();
    assert((await dataset.contents()).some((name) => name.endsWith(".tmp")), "it was too fast");

    const { code, stderr } = await store.enroot([
      "import",
      "-o",
      "a.sqsh",
      `docker://${host}/moving:tag`,
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(stderr.includes("Waiting"), false);
    assertEquals((await dataset.contents()).filter((name) => name.endsWith(".tmp")), []);
    await store.succeed(["create", "-n", "first", "a.sqsh"]);
    assertEquals(await store.succeed(["start", "first", "cat", "/etc/motd"]), "one\n");
    await store.succeed(["remove", "-f", "first"]);
  });

  await t.step("`create` from a pointer whose template is gone imports it again", async () => {
    await destroyTemplate();
    const { code, stderr } = await store.enroot(["create", "-n", "c", "a.sqsh"]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "importing it again");
    assertEquals(await store.succeed(["start", "c", "cat", "/etc/motd"]), "one\n");
    await store.succeed(["remove", "-f", "c"]);
  });

  await t.step("when the tag has moved, by the digest of the manifest", async () => {
    await destroyTemplate();
    await pushImage(`${bed.work}/two`, "x", `${host}/moving:tag`);
    await store.succeed(["create", "-n", "c", "a.sqsh"]);
    assertEquals(await store.succeed(["start", "c", "cat", "/etc/motd"]), "one\n");
    await store.succeed(["remove", "-f", "c"]);
  });

  await t.step("when the manifest is gone too, it is refused, and nothing is made", async () => {
    await destroyTemplate();
    const pointer = await Deno.readTextFile(`${bed.work}/a.sqsh`);
    const [, digest] = /^manifest-digest=(.*)$/m.exec(pointer) ?? [];
    const { status } = await fetch(`http://${host}/v2/moving/manifests/${digest}`, {
      method: "DELETE",
    });
    assertEquals(status, 202);
    // What is in the blob cache needs no registry.
    await Deno.remove(`${bed.home}/.cache/enroot/blobs`, { recursive: true });
    const before = await dataset.contents();
    const { code, stderr } = await store.enroot(["create", "-n", "c", "a.sqsh"]);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /\[ERROR\] docker:\/\/.*\/moving:tag is another image now than the one imported on .*: delete the pointer file and import .* again/,
    );
    assertEquals(await dataset.contents(), before);
  });

  await t.step("a damaged pointer is refused", async () => {
    await Deno.writeTextFile(`${bed.work}/bad.sqsh`, "enroot-zfs-image:v1\nuri=x\n");
    const { code, stderr } = await store.enroot(["create", "bad.sqsh"]);
    assertEquals(code, 1);
    assertMatch(stderr, /^\[ERROR\] .*bad\.sqsh is a damaged pointer file: /m);
  });

  await t.step(
    "without the helper or a delegation, an error at once names the command",
    async () => {
      await store.succeed(["import", "-o", "two.sqsh", `docker://${host}/moving:tag`]);
      const before = await dataset.contents();
      const helper = bed.executable.replace(/enroot$/, "enroot-zfs-mount");
      const commands = [
        ["import", "-o", "x.sqsh", `docker://${host}/none:such`],
        ["create", "-n", "c", "two.sqsh"],
        ["start", "two.sqsh", "true"],
      ];
      await attempt(["setcap", "-r", helper]);
      for (const args of commands.slice(1)) {
        const { code, stderr } = await store.enroot(args);
        assertEquals(code, 1);
        assertMatch(stderr, /\[ERROR\] enroot-zfs-mount: .*setcap cap_sys_admin\+ep/, stderr);
      }
      assertEquals((await dataset.contents()).filter((n) => n !== ".ephemeral"), before);

      await Deno.rename(helper, `${helper}.away`);
      for (const args of commands) {
        const { code, stderr } = await store.enroot(args);
        assertEquals(code, 1);
        assertMatch(
          stderr,
          /\[ERROR\] a plain user cannot mount ZFS datasets without the helper/,
          stderr,
        );
      }
      await Deno.rename(`${helper}.away`, helper);
      await attempt(["setcap", "cap_sys_admin+ep", helper]);

      await zfs("unallow", "-u", String(bed.uid), "clone", dataset.name);
      const { code, stderr } = await store.enroot(["create", "-n", "c", "two.sqsh"]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `as root, run: zfs allow -u ${bed.uid} create,mount,clone,`);
      assertStringIncludes(stderr, ` ${dataset.name}\n`);
      assertEquals((await dataset.contents()).filter((n) => n !== ".ephemeral"), before);
    },
  );
});
