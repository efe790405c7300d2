import { assert, assertEquals } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { attempt, run } from "../support/command.ts";
import { openFixture } from "../support/fixture.ts";
import { startSlowProxy } from "../support/slow_proxy.ts";

for (const user of users) {
  Deno.test(`signals end work without a trace, as ${user}`, async (t) => {
    await using fixture = await openFixture();
    await using bed = await Bed.make(user);
    await bed.succeed(["import", "-o", "whole.sqsh", `oci:${fixture.layout}:sample`]);
    await bed.succeed(["create", "-n", "kept", "whole.sqsh"]);
    const before = await bed.contents();
    const cacheBefore = await cache(bed);

    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      for (const command of [["import", "-o", "x.sqsh"], ["load", "-n", "x"]]) {
        await t.step(`${signal} in the middle of the download of ${command[0]}`, async () => {
          await using proxy = startSlowProxy(fixture.port, { bytesPerSecond: 400_000 });
          const uri = `docker://127.0.0.1:${proxy.port}/team/sample:1.0`;
          const child = bed.start([bed.executable, ...command, uri]);
          const output = child.output();
          await until(() => Promise.resolve(proxy.bytes > 600_000));
          await end(child, signal);
          const { code, signal: ended, stderr } = await output;
          assertEquals(ended, signal, `code ${code}: ${new TextDecoder().decode(stderr)}`);
          assertEquals(new TextDecoder().decode(stderr).includes("[ERROR]"), false);
          assertEquals(await bed.contents(), before);
          assertEquals(await cache(bed), cacheBefore);
        });
      }
    }

    const phases: readonly [about: string, program: string, args: string[]][] = [
      ["while import writes a squashfs", "mksquashfs", [
        ...["import", "-o", "x.sqsh", `oci:${fixture.layout}:sample`],
      ]],
      ["while create unpacks one", "unsquashfs", ["create", "-n", "x", "whole.sqsh"]],
      ["while export writes one", "mksquashfs", ["export", "-o", "x.sqsh", "kept"]],
    ];
    for (const [about, program, args] of phases) {
      await t.step(`SIGTERM ${about}`, async () => {
        const env = {
          ENROOT_SQUASH_OPTIONS: "-comp xz -exit-on-error",
          ENROOT_MAX_PROCESSORS: "1",
        };
        const child = bed.start([bed.executable, ...args], { env });
        const output = child.output();
        let below = "";
        await until(async () => {
          below = (await attempt(["pgrep", "-x", "-P", String(child.pid), program])).stdout.trim();
          return below !== "";
        });
        await end(child, "SIGTERM");
        assertEquals((await output).signal, "SIGTERM");
        assertEquals(await bed.contents(), before);
        const { code } = await attempt(["kill", "-0", below]);
        assert(code !== 0, `${program} still runs`);
      });
    }

    await t.step("SIGKILL leaves something that the next command takes away", async () => {
      await using proxy = startSlowProxy(fixture.port, { bytesPerSecond: 400_000 });
      for (const command of [["import", "-o", "x.sqsh"], ["load", "-n", "x"]]) {
        const uri = `docker://127.0.0.1:${proxy.port}/team/sample:1.0`;
        const child = bed.start([bed.executable, ...command, uri]);
        const output = child.output();
        const seen = proxy.bytes;
        await until(() => Promise.resolve(proxy.bytes > seen + 600_000));
        await end(child, "SIGKILL");
        assertEquals((await output).signal, "SIGKILL");
      }
      await bed.succeed(["import", "-o", "x.sqsh", `docker://${fixture.image}`]);
      await bed.succeed(["load", "-n", "x", `docker://${fixture.image}`]);
      await bed.succeed(["remove", "-f", "x"]);
      await Deno.remove(`${bed.work}/x.sqsh`);
      assertEquals(await bed.contents(), before);
    });

    await t.step("a signal that the caller ignores ends nothing", async () => {
      const uri = `oci:${fixture.layout}:sample`;
      const text = `trap '' HUP; exec "$0" import -o nohup.sqsh "$1"`;
      const child = bed.start(["bash", "-c", text, bed.executable, uri]);
      const output = child.output();
      await until(() => ignoresHangup(child.pid));
      const timer = setInterval(() => end(child, "SIGHUP").catch(() => {}), 50);
      const { code, stderr } = await output;
      clearInterval(timer);
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      assert((await Deno.stat(`${bed.work}/nohup.sqsh`)).size > 1_000_000);
    });
  });
}

/** Whether a process has got so far that it ignores SIGHUP, which is the first bit (proc_pid_status(5)). */
async function ignoresHangup(pid: number): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const [, last = "0"] = /^SigIgn:\t[0-9a-f]*([0-9a-f])$/m.exec(status) ?? [];
  return parseInt(last, 16) % 2 === 1;
}

/** Send a signal; the child may be another user's. */
async function end(child: Deno.ChildProcess, signal: Deno.Signal): Promise<void> {
  await run(["kill", "-s", signal.slice(3), String(child.pid)]);
}

/** What the image cache holds besides blobs and what arrived of some, which may stay. */
async function cache(bed: Bed): Promise<string[]> {
  const { stdout } = await attempt(["find", `${bed.home}/.cache/enroot`, "-type", "f"]);
  return stdout.trim().split("\n").filter((path) =>
    path !== "" && !/\/([0-9a-f]{64}(\.partial)?|oci-layout)$/.test(path)
  ).sort();
}

/** Wait until something holds. @throws {Error} after 20 seconds */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("waited 20 seconds in vain");
}
