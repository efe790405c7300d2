import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn } from "../support/command.ts";
import { done, firstOutput, owner, StoreCell } from "../support/store_cell.ts";

/** Stop a process, and wait until it did: it may be in the middle of a call. */
async function stop(process: Deno.ChildProcess): Promise<void> {
  process.kill("SIGSTOP");
  const status = (): Promise<string> => Deno.readTextFile(`/proc/${process.pid}/status`);
  while (!/^State:\tT/m.test(await status())) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("swapping folders and links during the call gets nothing mounted outside of one's own store", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers([".templates", ".templates/x"]);
  const dataset = `${cell.store}/.templates/x`;
  await cell.asOwner(["mkdir", "-p", `${cell.path}/evil/x`, `${cell.root}/home/x`]);
  const swaps = [
    `rename "$t/x", "$t/y"; symlink $home, "$t/x"; unlink "$t/x"; rename "$t/y", "$t/x";`,
    `rename "$t/x", "$t/y"; rename "$e/x", "$t/x"; rename "$t/x", "$e/x"; rename "$t/y", "$t/x";`,
    `rename $t, "u"; symlink $home, $t; unlink $t; rename "u", $t;`,
    `rename $t, "u"; rename $e, $t; rename $t, $e; rename "u", $t;`,
  ];
  for (const swap of swaps) {
    const script =
      `my ($t, $e, $home) = (".templates", "evil", "${cell.root}/home"); chdir "${cell.path}";
      alarm 90; $| = 1; print "\n"; while (1) {${swap}}`;
    const swapper = spawn(cell.inside(["perl", "-e", script]));
    const seen = new Set<string>();
    let calls = 0;
    try {
      await firstOutput(swapper);
      // Until the swap was met, and then some; when that takes minutes, this proves nothing.
      const start = Date.now();
      while (Date.now() < start + 5000 || (seen.size < 2 && Date.now() < start + 60_000)) {
        const { code, stderr } = await cell.helper([dataset]);
        await stop(swapper);
        const paths = (await cell.mounted()).map((line) => line.split(" ")[0] ?? "");
        assertEquals(paths.length, code === 0 ? 1 : 0, `${stderr}${paths}`);
        if (code !== 0) assertMatch(stderr, /symbolic link|is not there|keep changing/);
        for (const path of paths) {
          // A folder that is being renamed takes along what is mounted on it or below it: that leads
          // no further than the owner's store, where all of it is his.
          assert(path.startsWith(`${cell.path}/`), path);
          await cell.asRoot(["umount", path]);
        }
        swapper.kill("SIGCONT");
        seen.add(code === 0 ? "mounted" : stderr);
        calls++;
      }
    } finally {
      swapper.kill("SIGKILL");
      await swapper.output();
    }
    assert(seen.size > 1, `${calls} calls ended with ${[...seen]}`);
    const tidy = 'cd "$0" && rm -rf .templates evil u && mkdir -p .templates/x evil/x';
    await cell.asOwner(["sh", "-ec", tidy, cell.path]);
  }
});

Deno.test("many calls at once mount a dataset once, and unmount it", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  const eight = <T>(make: (index: number) => T): T[] =>
    Array.from({ length: 8 }, (_, i) => make(i));
  for (let round = 0; round < 5; round++) {
    const mounting = await Promise.all(eight(() => cell.helper([dataset])));
    assertEquals(mounting, eight(() => done));
    assertEquals((await cell.mounted()).length, 1);
    const unmounting = await Promise.all(eight(() => cell.helper(["--unmount", dataset])));
    assertEquals(unmounting, eight(() => done));
    assertEquals(await cell.mounted(), []);
  }
  for (let round = 0; round < 5; round++) {
    await Promise.all(eight((i) => cell.helper(i % 2 === 0 ? [dataset] : ["--unmount", dataset])));
    assert((await cell.mounted()).length <= 1);
  }
});

Deno.test("what a killed call leaves is unmounted as any other mount is", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  for (let delay = 0; delay < 20; delay++) {
    const child = spawn(cell.inside([cell.program, dataset]));
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await child.output();
    const mounted = await cell.mounted();
    for (const line of mounted) assertEquals(line.split(" ")[0], `${cell.path}/box`);
    assertEquals(await cell.helper(["--unmount", dataset]), done);
    assertEquals(await cell.mounted(), []);
  }
});

Deno.test("a dataset that is mounted twice is unmounted twice, but nothing below it", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  const path = `${cell.path}/box`;
  assertEquals(await cell.helper([dataset]), done);
  await cell.asRoot(["mount", "--bind", path, path]);
  assertEquals((await cell.mounted()).length, 2);
  assertEquals(await cell.helper(["--unmount", dataset]), done);
  assertEquals(await cell.mounted(), []);

  await cell.asRoot(["mount", "-t", "tmpfs", "-o", `uid=${owner}`, "x", path]);
  await cell.asRoot(["mount", "-t", "zfs", "-o", "zfsutil", dataset, path]);
  await cell.refuse(() => cell.helper(["--unmount", dataset]), "is mounted over something else");
});
