import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

for (const user of users) {
  Deno.test(`the main job on ZFS, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const folder = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    await makeBusyboxImage(`${folder}/layout`, "x", { "etc/motd": "hello\n" });
    const host = `127.0.0.1:${registry.port}`;
    await pushImage(`${folder}/layout`, "x", `${host}/busybox:latest`);
    await pushImage(`${folder}/layout`, "x", `${host}/team/same:other`);
    const store = stack.use(await ZfsBed.make(user));
    const { bed, dataset } = store;

    await t.step("`import` without options writes a pointer and fills one template", async () => {
      await store.succeed(["import", `docker://${host}/busybox`]);
      const text = await Deno.readTextFile(`${bed.work}/busybox+latest.sqsh`);
      const [, id] = /^image-config-sha256=([0-9a-f]{64})$/m.exec(text) ?? [];
      assertMatch(
        text,
        new RegExp(
          "^enroot-zfs-image:v1\nimage-config-sha256=[0-9a-f]{64}\nmanifest-digest=sha256:[0-9a-f]{64}\n" +
            `arch=a[a-z0-9]+\nuri=docker://${host}/busybox:latest\nimported=[-0-9]+T[:0-9]+Z\n$`,
        ),
      );
      assertEquals(await dataset.contents(), [
        ...[".templates", `.templates/${id}`, `.templates/${id}@pristine`],
      ]);
      assertEquals([...(await dataset.mounted()).keys()], []);
      assertEquals(
        await dataset.property(`.templates/${id}`, "enroot:uri"),
        `docker://${host}/busybox:latest`,
      );
      assertMatch(await dataset.property(`.templates/${id}`, "enroot:manifest-digest"), /^sha256:/);
    });

    await t.step("the same image again, and under another name, fills none", async () => {
      const before = await dataset.contents();
      await store.succeed(["import", "-o", "again.sqsh", `docker://${host}/busybox`]);
      await store.succeed(["import", `docker://${host}/team/same:other`]);
      assertEquals(await dataset.contents(), before);
      const pointer = await Deno.readTextFile(`${bed.work}/team+same+other.sqsh`);
      assertStringIncludes(pointer, `uri=docker://${host}/team/same:other\n`);
    });

    await t.step("`create` makes clones that share the template's blocks", async () => {
      await store.succeed(["create", "busybox+latest.sqsh"]);
      await store.succeed(["create", "-n", "two", "again.sqsh"]);
      assertEquals(await store.succeed(["list"]), "busybox+latest\ntwo\n");
      const template = (await dataset.contents()).find((name) => name.endsWith("@pristine"));
      for (const name of ["busybox:2blatest", "two"]) {
        assertEquals(await dataset.property(name, "origin"), `${dataset.name}/${template}`);
        const used = Number(await dataset.property(name, "used"));
        const referenced = Number(await dataset.property(name, "referenced"));
        assert(used * 10 < referenced, `${name} uses ${used} of ${referenced}`);
        const options = (await dataset.mounted()).get(name) ?? [];
        assert(options.includes("nosuid") && options.includes("nodev"), options.join());
      }
    });

    await t.step("a taken name is refused, and replaced with --force", async () => {
      await Deno.writeTextFile(`${dataset.path}/two/mine`, "old");
      const { code, stderr } = await store.enroot(["create", "-n", "two", "again.sqsh"]);
      assertEquals(code, 1);
      assertMatch(stderr, /^\[ERROR\] container 'two' exists already/);
      await store.succeed(["create", "-f", "-n", "two", "again.sqsh"]);
      assertEquals(
        [...Deno.readDirSync(`${dataset.path}/two`)].some((e) => e.name === "mine"),
        false,
      );
    });

    await t.step("`start` runs it, with the PID, and keeps what is written", async () => {
      assertEquals(await store.succeed(["start", "busybox+latest", "cat", "/etc/motd"]), "hello\n");
      await store.succeed(["start", "--rw", "two", "sh", "-c", "echo mine > /root/kept"]);
      assertEquals(await store.succeed(["start", "two", "cat", "/root/kept"]), "mine\n");
      const { code } = await store.enroot(["start", "two", "sh", "-c", "exit 7"]);
      assertEquals(code, 7);
      const read = await store.enroot(["start", "two", "sh", "-c", "echo x > /root/no"]);
      assert(read.code !== 0);
    });

    await t.step("after a reboot `start` and `export` mount again what they need", async () => {
      await zfs("unmount", `${dataset.path}/two`);
      assertEquals(await store.succeed(["start", "two", "cat", "/root/kept"]), "mine\n");
      await zfs("unmount", `${dataset.path}/two`);
      await store.succeed(["export", "-o", "two.sqsh", "two"]);
    });

    await t.step("a squashfs file is extracted once, and cloned from then on", async () => {
      // What has just been written may still change within a tick of the clock.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const first = await store.enroot(["create", "-n", "three", "two.sqsh"]);
      assertStringIncludes(first.stderr, "Extracting");
      const second = await store.enroot(["create", "-n", "four", "two.sqsh"]);
      assertEquals([first.code, second.code], [0, 0], second.stderr);
      assertEquals(second.stderr.includes("Extracting"), false);
      const origins = await Promise.all(
        ["three", "four"].map((n) => dataset.property(n, "origin")),
      );
      assertEquals(origins[0], origins[1]);
      assertEquals(await store.succeed(["start", "four", "cat", "/root/kept"]), "mine\n");
    });

    await t.step(
      "`load` clones a cached image, and `--format=squashfs` writes a real one",
      async () => {
        const before = (await dataset.contents()).filter((name) => name.startsWith("."));
        await store.succeed(["load", "-n", "loaded", `docker://${host}/busybox`]);
        assertEquals((await dataset.contents()).filter((name) => name.startsWith(".")), before);
        await store.succeed([
          "import",
          "--format=squashfs",
          "-o",
          "real.sqsh",
          `docker://${host}/busybox`,
        ]);
        const magic = (await Deno.readFile(`${bed.work}/real.sqsh`)).subarray(0, 4);
        assertEquals(new TextDecoder().decode(magic), "hsqs");
      },
    );

    await t.step("names of all kinds work, and others are refused", async () => {
      const names = ["a b", "grüße:+", "x".repeat(128)];
      for (const name of names) {
        await store.succeed(["create", "-n", name, "again.sqsh"]);
        assertEquals(await store.succeed(["start", name, "cat", "/etc/motd"]), "hello\n");
      }
      const listed = (await store.succeed(["list"])).split("\n");
      assertEquals(names.filter((name) => !listed.includes(name)), []);
      await store.succeed(["remove", "-f", ...names]);
      const before = await dataset.contents();
      for (const name of ["a/b", ".hidden", "-x", "x".repeat(129), "é".repeat(64)]) {
        const { code, stderr } = await store.enroot(["create", `--name=${name}`, "again.sqsh"]);
        assertEquals(code, 1);
        assertMatch(stderr, /^\[ERROR\] container name /);
      }
      assertEquals(await dataset.contents(), before);
    });

    await t.step("`remove` leaves the templates and nothing else", async () => {
      const names = (await store.succeed(["list"])).trim().split("\n");
      await store.succeed(["remove", "-f", ...names]);
      assertEquals(await store.succeed(["list"]), "");
      const left = (await dataset.contents()).filter((name) => !name.startsWith(".templates"));
      assertEquals(left, [".ephemeral"]);
      assertEquals([...(await dataset.mounted()).keys()], []);
      const folders = [...Deno.readDirSync(dataset.path)].map(({ name }) => name).sort();
      assertEquals(folders, [".ephemeral", ".locks", ".templates"]);
      assertEquals([...Deno.readDirSync(`${dataset.path}/.templates`)], []);
    });
  });
}
