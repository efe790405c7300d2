import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

/** Wait until something holds; fails after half a minute. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`not within 30 seconds: ${what}`);
}

const clones = async ({ dataset }: ZfsBed): Promise<string[]> =>
  (await dataset.contents()).filter((name) => name.startsWith(".ephemeral/"));

/** Nothing is left: no clone, no mount, no lock. */
async function isClean(store: ZfsBed): Promise<boolean> {
  const locks = [...Deno.readDirSync(`${store.dataset.path}/.locks`)].map(({ name }) => name);
  return (await clones(store)).length === 0 && (await store.dataset.mounted()).size === 0 &&
    locks.every((name) => name === "layout" || name === "swept");
}

/** Start the image with a command that lasts, and wait until it runs. */
async function startLasting(store: ZfsBed, args: readonly string[]): Promise<Deno.ChildProcess> {
  const { bed } = store;
  const child = bed.start([bed.executable, "start", ...args, "sh", "-c", "echo up; sleep 300"], {
    env: store.env,
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(await new Response(child.stderr).text());
  reader.releaseLock();
  return child;
}

/** Processes of the bed's user whose name is this. */
async function pidsOf(store: ZfsBed, name: string): Promise<number[]> {
  const { stdout } = await store.bed.run(["pgrep", "-u", String(store.bed.uid), "-x", name]);
  return stdout.trim().split("\n").filter((line) => line !== "").map(Number);
}

Deno.test("image files start in throw-away containers, as a plain user", async (t) => {
  await using store = await ZfsBed.make("plain user");
  const { bed } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/motd": "hello\n" });
  await bed.own();
  await store.succeed(["import", "-o", "pointer.sqsh", `oci:layout:x`]);
  await store.succeed(["import", "--format=squashfs", "-o", "real.sqsh", `oci:layout:x`]);

  for (const image of ["pointer.sqsh", "real.sqsh"]) {
    await t.step(`${image}: runs, writable when asked for, and is gone at its end`, async () => {
      assertEquals(await store.succeed(["start", image, "cat", "/etc/motd"]), "hello\n");
      const command = ["sh", "-c", "echo x > /root/x && cat /root/x; exit 9"];
      const { code, stdout } = await store.enroot(["start", "--rw", image, ...command]);
      assertEquals([code, stdout], [9, "x\n"]);
      await until("the clones are gone", () => isClean(store));
      assertEquals(await store.succeed(["list"]), "");
    });
  }

  await t.step("at its end what nobody uses any more is swept away, when that is due", async () => {
    const templates = async (): Promise<string[]> =>
      (await store.dataset.contents()).filter((name) => /^\.templates\/[^@]+$/.test(name));
    assertEquals((await templates()).length, 2);
    for (const name of await templates()) {
      await zfs(
        ...["set", "enroot:imported=2020-01-01T00:00:00Z", "enroot:last_used=1577836800"],
        `${store.dataset.name}/${name}`,
      );
    }
    const env = { ENROOT_TEMPLATE_WARM_SECONDS: "600" };
    await store.succeed(["start", "pointer.sqsh", "true"], { env });
    await until("the clones are gone", () => isClean(store));
    assertEquals((await templates()).length, 2);
    await Deno.utime(`${store.dataset.path}/.locks/swept`, 0, 0);
    await store.succeed(["start", "pointer.sqsh", "true"], { env });
    await until("the other one is gone", async () => (await templates()).length === 1);
    await until("the clones are gone", () => isClean(store));
  });

  await t.step("what it leaves running keeps it, and it goes with the last of them", async () => {
    const out = await store.succeed([
      ...["start", "pointer.sqsh", "sh", "-c"],
      "(sleep 3; cat /etc/motd) > /dev/null 2>&1 & echo first",
    ]);
    assertEquals(out, "first\n");
    assertEquals((await clones(store)).length, 1);
    await until("the clone is gone", () => isClean(store));
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await t.step(`${signal} of the container's process takes it away`, async () => {
      const child = await startLasting(store, ["pointer.sqsh"]);
      assertEquals((await clones(store)).length, 1);
      child.kill(signal);
      assertEquals((await child.status).signal, signal);
      await child.stdout.cancel();
      await child.stderr.cancel();
      // Its shell is dead; what that had started is not, and still has the container.
      for (const pid of await pidsOf(store, "sleep")) Deno.kill(pid, "SIGKILL");
      await until("the clone is gone", () => isClean(store));
    });
  }

  await t.step(
    "when the watcher was killed, the next command after the end tidies up",
    async () => {
      const child = await startLasting(store, ["pointer.sqsh"]);
      const watchers = await pidsOf(store, "enroot-watch");
      assertEquals(watchers.length, 1);
      const status = await Deno.readTextFile(`/proc/${watchers[0]}/status`);
      const [, size] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
      assert(Number(size) < 1024, `the watcher has ${size} kB`);
      for (const pid of watchers) Deno.kill(pid, "SIGKILL");
      assertEquals(await store.succeed(["list"]), "");
      assertEquals((await clones(store)).length, 1);
      child.kill("SIGKILL");
      await child.status;
      await child.stdout.cancel();
      await child.stderr.cancel();
      for (const pid of await pidsOf(store, "sleep")) Deno.kill(pid, "SIGKILL");
      await until("a command tidies up", async () => {
        await store.succeed(["list"]);
        return await isClean(store);
      });
    },
  );

  await t.step("a start that fails leaves nothing", async () => {
    const { code, stderr } = await store.enroot(["start", "--rc", "/none", "pointer.sqsh"]);
    assertEquals(code, 1);
    assertMatch(stderr, /^\[ERROR\] cannot read \/none/m);
    assertEquals(await isClean(store), true);
    const bad = await store.enroot(["start", "-m", "/none:/none:none:bind", "pointer.sqsh"]);
    assert(bad.code !== 0);
    await until("the clone is gone", () => isClean(store));
  });
});
