import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

for (const user of ["root", "plain user"] as const) {
  Deno.test(`containers that are removed while they are used, as ${user}`, async (t) => {
    await using store = await ZfsBed.make(user);
    const { bed, dataset } = store;
    await makeBusyboxImage(`${bed.work}/layout`, "x");
    await bed.own();
    await store.succeed(["import", "-o", "image.sqsh", "oci:layout:x"]);
    const leaving = async (): Promise<string[]> =>
      (await dataset.contents()).filter((name) => /^\.ephemeral\/[^@]+$/.test(name));

    await t.step("one that runs loses its name at once, and goes when it has ended", async () => {
      await store.succeed(["create", "-n", "runs", "image.sqsh"]);
      const child = bed.start([
        bed.executable,
        "start",
        "runs",
        "sh",
        "-c",
        "echo up; exec sleep 600",
      ], {
        env: store.env,
      });
      const reader = child.stdout.getReader();
      assertEquals(new TextDecoder().decode((await reader.read()).value), "up\n");

      const { code, stderr } = await store.enroot(["remove", "-f", "runs"]);
      assertEquals(code, 0, stderr);
      assertMatch(
        stderr,
        /'runs' is still in use by process .*\((?:sleep|busybox)\).*: it goes/,
      );
      assertStringIncludes(stderr, String(child.pid));
      assertEquals(await store.succeed(["list"]), "");
      assertEquals((await leaving()).length, 1);

      const again = await store.enroot(["remove", "-f", "runs"]);
      assertEquals(again.code, 0, again.stderr);
      assertStringIncludes(again.stderr, "removed already");

      await store.succeed(["create", "-n", "runs", "image.sqsh"]);
      assertEquals(await store.succeed(["start", "runs", "echo", "new"]), "new\n");
      await store.succeed(["remove", "-f", "runs"]);

      child.kill("SIGKILL");
      await Promise.all([child.status, reader.cancel(), child.stderr.cancel()]);
      const deadline = Date.now() + 60_000;
      while ((await leaving()).length > 0) {
        assert(Date.now() < deadline, "it never went");
        const { code, stderr } = await store.enroot(["list"]);
        assertEquals([code, stderr], [0, ""]);
      }
      const gone = await store.enroot(["remove", "-f", "runs"]);
      assertEquals([gone.code, gone.stderr.includes("no container 'runs'")], [1, true]);
    });

    await t.step(
      "one with a held snapshot loses its name, and goes when that is released",
      async () => {
        await store.succeed(["create", "-n", "saved", "image.sqsh"]);
        await zfs("snapshot", `${dataset.name}/saved@backup`);
        await zfs("hold", "keep", `${dataset.name}/saved@backup`);
        const { code, stderr } = await store.enroot(["remove", "-f", "saved"]);
        assertEquals(code, 0, stderr);
        const [, held = ""] =
          /'saved' has a snapshot that somebody holds: .*`zfs holds (\S+)`/.exec(
            stderr,
          ) ?? [];
        assertEquals(await store.succeed(["list"]), "");
        await zfs("release", "keep", held);
        assertEquals(await store.succeed(["list"]), "");
        assertEquals(await leaving(), []);
      },
    );

    await t.step("where somebody works in its folder it stays, and he is named", async () => {
      await store.succeed(["create", "-n", "held", "image.sqsh"]);
      const child = bed.start(["sleep", "600"], { cwd: `${dataset.path}/held` });
      try {
        const { code, stderr } = await store.enroot(["remove", "-f", "held"]);
        assertEquals(code, 1);
        assertMatch(stderr, new RegExp(`in use by process ${child.pid} \\(sleep\\): end it`));
        assertEquals(await store.succeed(["list"]), "held\n");
      } finally {
        child.kill("SIGKILL");
        await Promise.all([child.status, child.stdout.cancel(), child.stderr.cancel()]);
      }
      await store.succeed(["remove", "-f", "held"]);
    });
  });
}
