import { assertEquals } from "@std/assert";
import { attempt, run } from "./support/command.ts";

const top = new URL("../", import.meta.url).pathname;
const plainUid = 12345;

await run(["make", "-s", "-C", `${top}helper`]);

/** A folder of a plain user with the helper and a busybox in it. */
class Bed implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Bed> {
    const path = await Deno.makeTempDir();
    await Deno.copyFile(`${top}helper/build/enroot-nsenter`, `${path}/enroot-nsenter`);
    await Deno.copyFile("/bin/busybox", `${path}/busybox`);
    for (const name of ["enroot-nsenter", "busybox"]) await Deno.chmod(`${path}/${name}`, 0o755);
    if (Deno.uid() === 0) await run(["chown", "-R", `${plainUid}:${plainUid}`, path]);
    return new Bed(path);
  }

  /** Run shell text in a mount namespace of its own, under a watcher that writes `released`. */
  async watched(text: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/end`, `/bin/sh\0-c\0echo x >> ${this.path}/released\0`);
    const script = 'exec 5< end; exec ./enroot-nsenter --at-end 5 --mount --user -- sh -c "$0"';
    const { code, stderr } = await attempt([...become, "bash", "-c", script, text], {
      cwd: this.path,
    });
    assertEquals([code, stderr], [0, ""]);
  }

  /** How often the watcher has run its command. */
  async released(): Promise<number> {
    try {
      return (await Deno.readTextFile(`${this.path}/released`)).length / 2;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  }

  async isReleasedWithin(seconds: number): Promise<boolean> {
    for (let tries = 0; tries < seconds * 20; tries++) {
      if (await this.released() > 0) return true;
      await sleep(0.05);
    }
    return false;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path, { recursive: true });
  }
}

/** A process is looked at by root whatever it does against it, so the watcher must be a plain user's. */
const become = Deno.uid() === 0
  ? ["setpriv", "--reuid", String(plainUid), "--regid", String(plainUid), "--clear-groups", "--"]
  : [];

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

Deno.test("the watcher runs its command once when the namespace is empty", async () => {
  await using bed = await Bed.make();
  await bed.watched("true");
  assertEquals(await bed.isReleasedWithin(5), true);
  await sleep(0.2);
  assertEquals(await bed.released(), 1);
});

Deno.test("the watcher waits for what was left behind in the namespace", async () => {
  await using bed = await Bed.make();
  await bed.watched("./busybox sleep 2 > /dev/null 2>&1 &");
  await sleep(1);
  assertEquals(await bed.released(), 0);
  assertEquals(await bed.isReleasedWithin(5), true);
});

// It takes a program that the user may execute and not read, of an owner who has no part in the namespace.
Deno.test({
  name: "the watcher waits for a member that cannot be looked into",
  ignore: Deno.uid() !== 0,
  async fn() {
    await using bed = await Bed.make();
    await Deno.mkdir(`${bed.path}/closed`);
    await Deno.copyFile("/bin/busybox", `${bed.path}/closed/busybox`);
    await Deno.chmod(`${bed.path}/closed/busybox`, 0o711);
    await bed.watched("closed/busybox sleep 3 > /dev/null 2>&1 & sleep 0.5");
    await sleep(1.5);
    assertEquals(await bed.released(), 0);
    assertEquals(await bed.isReleasedWithin(6), true);
  },
});

// prctl(PR_SET_DUMPABLE, 0): from then on only root sees the namespaces of this process.
const hide = `syscall(${Deno.build.arch === "aarch64" ? 167 : 157}, 4, 0, 0, 0, 0);`;

Deno.test("the watcher does not wait for processes that were there before", async () => {
  await using bed = await Bed.make();
  const [program = "", ...args] = [
    ...become,
    "perl",
    "-e",
    `${hide} $| = 1; print "hidden"; sleep 30`,
  ];
  const older = new Deno.Command(program, { args, stdout: "piped" }).spawn();
  const reader = older.stdout.getReader();
  try {
    await reader.read();
    // Which of two is older is told by the kernel in hundredths of a second.
    await sleep(0.1);
    await bed.watched("true");
    assertEquals(await bed.isReleasedWithin(5), true);
  } finally {
    await reader.cancel();
    older.kill("SIGKILL");
    await older.status;
  }
});
