import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

import { attempt, type Result, spawn } from "../support/command.ts";
import { whyNotHere } from "./run_here.ts";

const main = new URL("main.ts", import.meta.url).pathname;
const ignore = whyNotHere() !== undefined;

/** Run `deno task vm` with a folder of its own for temporary files. */
function vm(temporary: string, ...args: string[]): Promise<Result> {
  return attempt([Deno.execPath(), "run", "-A", main, ...args], { env: { TMPDIR: temporary } });
}

function names(folder: string): Promise<string[]> {
  return Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
}

/** The processes that have this path in their command line. */
async function usersOf(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await names("/proc")).filter((name) => /^\d+$/.test(name))) {
    const words = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (words.includes(path)) found.push(words.replaceAll("\0", " "));
  }
  return found;
}

/** Wait for something to become true. */
async function until(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !await what();) {
    assert(Date.now() < end, `not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

Deno.test({ name: "the virtual machine", ignore }, async (t) => {
  const temporary = await Deno.makeTempDir();
  const results = `${temporary}/kept`;
  const done = vm(
    temporary,
    ...["--results", results, "sh", "-c"],
    `zfs list -H -o name,mountpoint $ENROOT_TEST_POOL; ls -d deno.json; echo to stderr >&2
     echo kept > $ENROOT_VM_RESULTS/file; touch lost; sleep 4242 & exit 7`,
  );
  const hung = vm(temporary, "--limit", "2", "sh", "-c", "echo before; sleep 4343");
  try {
    await t.step("brings the output, the exit code and the results of a command", async () => {
      const { code, stdout, stderr } = await done;
      assertEquals(stdout, "tank/test\tnone\ndeno.json\n");
      assertEquals(stderr, "to stderr\n");
      assertEquals(code, 7);
      assertEquals(await Deno.readTextFile(`${results}/file`), "kept\n");
      const top = await names(new URL("../../", import.meta.url).pathname);
      assert(!top.includes("lost"), "what is written in the checkout stays in the machine");
    });
    await t.step("kills a command that hangs, and shows what it was doing", async () => {
      const { code, stdout, stderr } = await hung;
      assertEquals(stdout, "before\n");
      assertEquals(code, 124);
      assertStringIncludes(stderr, "killed, for a limit of 2 s");
      assertMatch(stderr, /\d+ +\d+ +S +hrtimer_nanosleep +\d+ sleep 4343$/m);
    });
    await t.step("leaves nothing", async () => {
      assertEquals(await names(temporary), ["kept"]);
      assertEquals(await usersOf(temporary), []);
    });
    await t.step("leaves nothing when its owner is killed either", async () => {
      const killed = spawn([Deno.execPath(), "run", "-A", main, "true"], {
        env: { TMPDIR: temporary },
      });
      const ended = killed.output();
      await until(async () => (await usersOf(temporary)).some((each) => each.startsWith("qemu")));
      killed.kill("SIGKILL");
      await ended;
      await until(async () => (await names(temporary)).length === 1);
      await until(async () => (await usersOf(temporary)).length === 0);
      const pids = await names("/run/virtiofsd");
      assertEquals(pids.filter((name) => name.includes(temporary.replaceAll("/", "."))), []);
    });
  } finally {
    await Promise.allSettled([done, hung]);
    await Deno.remove(temporary, { recursive: true });
  }
});
