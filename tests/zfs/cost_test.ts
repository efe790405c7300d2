import { assert, assertEquals } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

/** What a command started and opened. */
interface Trace {
  /** How many times the program `zfs` was executed. */
  readonly zfs: number;
  /** Paths of opened files. */
  readonly opened: readonly string[];
}

/** Run `enroot` and watch it: every program it executes, every file it opens. */
async function trace(store: ZfsBed, args: readonly string[]): Promise<Trace> {
  const { bed } = store;
  const log = `${bed.temp}/trace`;
  const { code, stderr } = await bed.run(
    [
      "strace",
      "-f",
      "--seccomp-bpf",
      "-qq",
      "-e",
      "trace=execve,openat",
      "-o",
      log,
      bed.executable,
      ...args,
    ],
    { env: store.env },
  );
  assertEquals(code, 0, stderr);
  const lines = (await Deno.readTextFile(log)).split("\n");
  return {
    zfs: lines.filter((line) => /execve\("[^"]*\/zfs", .* = 0$/.test(line)).length,
    opened: lines.flatMap((line) => /openat\([^"]*"([^"]*)".* = \d+$/.exec(line)?.[1] ?? []),
  };
}

Deno.test("cached images cost few processes, and a re-import opens no layer", async (t) => {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const store = stack.use(await ZfsBed.make("root"));
  const { bed } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x");
  const image = `127.0.0.1:${registry.port}/busybox:latest`;
  await pushImage(`${bed.work}/layout`, "x", image);
  // Unpacking the executable, and the first import, are no part of it.
  await store.succeed(["import", "-o", "a.sqsh", `docker://${image}`]);

  await t.step("`import` of a cached image: at most 3 zfs, no layer", async () => {
    const { zfs, opened } = await trace(store, ["import", "-o", "b.sqsh", `docker://${image}`]);
    assert(zfs > 0 && zfs <= 3, `${zfs} zfs processes`);
    const blobs = opened.filter((path) => path.includes("/blobs/sha256/"));
    const large = blobs.filter((path) => Deno.statSync(path).size > 100_000);
    assertEquals(large, []);
  });
  await t.step("`create`: at most 2 zfs", async () => {
    const { zfs } = await trace(store, ["create", "-n", "c", "b.sqsh"]);
    assert(zfs > 0 && zfs <= 2, `${zfs} zfs processes`);
  });
  await t.step("`start` of a container: none", async () => {
    const { zfs } = await trace(store, ["start", "c", "true"]);
    assertEquals(zfs, 0);
  });
  await t.step("`list`: 1 zfs", async () => {
    assertEquals((await trace(store, ["list"])).zfs, 1);
  });
  await t.step("`remove`: at most 3 zfs", async () => {
    const { zfs } = await trace(store, ["remove", "-f", "c"]);
    assert(zfs > 0 && zfs <= 3, `${zfs} zfs processes`);
  });
});
