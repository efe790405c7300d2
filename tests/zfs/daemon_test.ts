import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { run } from "../support/command.ts";
import { startDockerd } from "../support/dockerd.ts";
import {
  archiveBytes,
  dockerContainerd,
  inspectOf,
  makeImage,
  makeLayer,
} from "../support/engine_archive.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { pushImage } from "../support/oci_layout.ts";
import { makePodman } from "../support/podman.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };

Deno.test("an image makes one template and its layers once, whichever way it comes", async (t) => {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const store = stack.use(await ZfsBed.make("root"));
  const { bed, dataset } = store;
  const name = `127.0.0.1:${registry.port}/team/tool:1.0`;
  const layout = await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/a": "a\n" }, {
    "etc/b": "b\n",
  });
  await pushImage(layout.path, "x", name);
  const dockerd = stack.use(await startDockerd());
  const storage = stack.use(await makePodman());
  await dockerd.docker("pull", "--quiet", name);
  await storage.podman("pull", "--quiet", "--tls-verify=false", name);
  await dockerd.docker("save", "-o", `${bed.work}/docker.tar`, name);
  await storage.podman("save", "--format", "oci-archive", "-o", `${bed.work}/podman.tar`, name);
  const env = { ...chain, ...dockerd.env, ...storage.env };
  const ways = [
    `docker://${name}`,
    `dockerd://${name}`,
    `podman://${name}`,
    "oci:layout:x",
    "oci-archive:podman.tar",
    "docker-archive:docker.tar",
  ];

  const clear = async (): Promise<void> => {
    for (const below of [".templates", ".layers"]) {
      const names = (await dataset.contents()).filter((each) =>
        each.startsWith(`${below}/`) && !each.includes("@")
      );
      for (const each of names) {
        // What was a clone of one that is gone by now is gone as well.
        if ((await dataset.contents()).includes(each)) {
          await zfs("destroy", "-R", `${dataset.name}/${each}`);
        }
      }
    }
  };

  let expected: string[] | undefined;
  for (const first of ways.slice(0, 3)) {
    // All ways after the first of them; the others by themselves, and after themselves.
    const others = first === ways[0] ? ways.slice(1) : [];
    await t.step(
      `by ${[first, ...others].map((way) => way.replace(/:.*/, "")).join(", then by ")}, and again`,
      async () => {
        for (const way of [first, ...others, first]) {
          await store.succeed(["import", "-o", "image.sqsh", way], { env });
          const table = await dataset.contents();
          expected ??= table;
          assertEquals(table, expected, `${way}, the first was ${first}`);
          await Deno.remove(`${bed.work}/image.sqsh`);
        }
        assertEquals(expected?.filter((each) => /^\.layers\/[^@]+$/.test(each)).length, 3);
        assertEquals(expected?.filter((each) => /^\.templates\/[^@]+$/.test(each)).length, 1);
        await clear();
      },
    );
  }

  for (const scheme of ["dockerd", "podman"]) {
    await t.step(`a pointer of ${scheme}:// finds its image again when all is gone`, async () => {
      await store.succeed(["import", "-o", "image.sqsh", `${scheme}://${name}`], { env });
      const pointer = await Deno.readTextFile(`${bed.work}/image.sqsh`);
      assertEquals(pointer.includes("manifest-digest"), false, pointer);
      await clear();
      await store.succeed(["create", "-n", "c", "image.sqsh"], { env });
      assertEquals(await Deno.readTextFile(`${dataset.path}/c/etc/b`), "b\n");
      await store.succeed(["remove", "-f", "c"], { env });
      await Deno.remove(`${bed.work}/image.sqsh`);
      await clear();
    });
  }

  await t.step("layers that are there are skipped in the stream", async () => {
    await makeBusyboxImage(`${bed.work}/other`, "x", { "etc/a": "a\n" }, { "etc/c": "c\n" });
    const other = name.replace("tool:", "other:");
    await pushImage(`${bed.work}/other`, "x", other);
    await dockerd.docker("pull", "--quiet", other);
    await store.succeed(["load", "-n", "one", `dockerd://${name}`], { env });
    const before = await dataset.contents();
    const { code, stderr } = await store.enroot(["load", "-n", "two", `dockerd://${other}`], {
      env,
    });
    assertEquals(code, 0, stderr);
    assert(stderr.includes("Reusing 2 of 3 layers"), stderr);
    const added = (await dataset.contents()).filter((each) => !before.includes(each));
    assertEquals(added.filter((each) => /^\.layers\/[^@]+$/.test(each)).length, 1);
    assertEquals(
      await Promise.all(
        ["one/etc/b", "two/etc/c"].map((each) => Deno.readTextFile(`${dataset.path}/${each}`)),
      ),
      ["b\n", "c\n"],
    );
  });
});

Deno.test("an engine's own name for an image is remembered: a repeat reads no stream", async () => {
  await using store = await ZfsBed.make("plain user");
  const { bed, dataset } = store;
  await using engine = await FakeEngine.make();
  const image = makeImage([makeLayer("one"), makeLayer("two")]);
  const archive = dockerContainerd([image]);
  assertNotEquals(archive.id, image.id);
  await engine.answer(inspectOf(image, archive.id, { Descriptor: {} }), {
    bytes: archiveBytes(archive),
  });
  const env = { PATH: `${engine.bin}:${bed.env["PATH"]}` };
  const saves = async (): Promise<number> =>
    (await engine.calls()).filter((call) => call.startsWith("save")).length;
  await store.succeed(["import", "-o", "1.sqsh", "dockerd://x:1"], { env });
  assertEquals(await saves(), 1);
  const [template = ""] = (await dataset.contents()).filter((name) =>
    /^\.templates\/[^@]+$/.test(name)
  );
  assertEquals(template, `.templates/${image.id.replace("sha256:", "")}`);
  assertEquals(await dataset.property(template, "enroot:engine-id"), archive.id);

  await store.succeed(["import", "-o", "2.sqsh", "dockerd://x:1"], { env });
  assertEquals(await saves(), 1);

  // Whoever knows the image by its config only has no such name to give; the next one that has does.
  await run(["zfs", "inherit", "enroot:engine-id", `${dataset.name}/${template}`]);
  await store.succeed(["import", "-o", "3.sqsh", "dockerd://x:1"], { env });
  assertEquals(await saves(), 2);
  assertEquals(await dataset.property(template, "enroot:engine-id"), archive.id);
});
