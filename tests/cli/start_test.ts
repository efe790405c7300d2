import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { openToAll } from "../support/fixture.ts";

/** What the sample image's entrypoint prints before it runs its arguments. */
const entryLine = "entry: GREETING='hello from the image' PWD='/opt/app/work dir'";

for (const user of users) {
  Deno.test(`start, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await makeSampleImage(`${bed.work}/layout`);
    await openToAll(`${bed.work}/layout`);
    await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:sample`]);
    const start = (...args: string[]): Promise<string> => bed.succeed(["start", ...args]);
    const inside = (text: string, ...options: string[]): Promise<string> =>
      start(...options, "box", "sh", "-c", text);

    await t.step("the command has the process ID of `enroot`", async () => {
      const child = bed.start([bed.executable, "start", "box", "sh", "-c", "echo $$"]);
      const { stdout } = await child.output();
      assertEquals(new TextDecoder().decode(stdout), `${child.pid}\n`);
    });

    await t.step("its exit code and the signal that ends it come through", async () => {
      for (const code of [0, 1, 7, 255]) {
        const result = await bed.enroot(["start", "box", "sh", "-c", `exit ${code}`]);
        assertEquals([result.code, result.signal], [code, null]);
      }
      for (const signal of ["TERM", "INT", "HUP", "KILL", "SEGV"]) {
        const result = await bed.enroot(["start", "box", "sh", "-c", `kill -${signal} $$`]);
        assertEquals(result.signal, `SIG${signal}`);
      }
    });

    await t.step("a signal sent from outside reaches it", async () => {
      const child = bed.start(
        [
          bed.executable,
          "start",
          "box",
          "sh",
          "-c",
          "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done",
        ],
      );
      await firstBytes(child);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 9);
    });

    await t.step("entrypoint, environment and working directory are the image's", async () => {
      const { stdout, stderr, code } = await bed.enroot(["start", "box", "sh", "-c", "pwd"]);
      assertEquals([code, stdout, stderr], [0, "/opt/app/work dir\n", `${entryLine}\n`]);
    });

    await t.step("no command runs that of the image", async () => {
      assertEquals(await start("box"), "default command\n");
    });

    await t.step("standard input and binary output pass unchanged", async () => {
      const input = Uint8Array.from({ length: 100_000 }, (_, index) => index % 256);
      const { stdout } = await bed.enroot(["start", "box", "sha256sum"], { input });
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", input)).toHex();
      assertEquals(stdout, `${digest}  -\n`);
    });

    await t.step("the host's environment stays outside; -e brings in what is named", async () => {
      const env = { SECRET: "s", CHOSEN: "from the host" };
      const text = `echo "$SECRET|$CHOSEN|$A|$EMPTY|$HOME"; env | grep -c ENROOT_`;
      const { stdout } = await bed.enroot(
        ["start", "-e", "CHOSEN", "--env=A=x y'z", "box", "sh", "-c", text],
        { env },
      );
      const [line = "", count] = stdout.split("\n");
      assertMatch(line, /^\|from the host\|x y'z\|\|\//);
      assertEquals(count, "0");
    });

    await t.step("-m mounts what is outside, read-only when asked", async () => {
      await Deno.mkdir(`${bed.work}/out side`, { recursive: true });
      await Deno.writeTextFile(`${bed.work}/out side/file`, "from outside");
      await bed.own();
      const mount = `${bed.work}/out\\040side:/mnt/in:none:x-create=dir,bind,ro`;
      const text = "cat /mnt/in/file; touch /mnt/in/no 2> /dev/null || echo /read-only";
      assertEquals(await inside(text, "-w", "-m", mount), "from outside/read-only\n");
      assertEquals(
        await inside(
          "grep -c ' /mnt/t tmpfs ' /proc/mounts",
          "-w",
          "-m",
          "tmpfs:/mnt/t:tmpfs:x-create=dir",
        ),
        "1\n",
      );
    });

    await t.step(
      "a mount's target stays below the root, whatever links the image has",
      async () => {
        // `climbing` leads to ../../../etc/passwd; the host's file of that name must stay as it is.
        await Deno.writeTextFile(`${bed.work}/mounted`, "mounted\n");
        await bed.own();
        const mount = `${bed.work}/mounted:/opt/app/climbing:none:bind`;
        // A start adds the caller to what is there.
        assertMatch(await inside("cat /etc/passwd", "-m", mount), /^mounted\n/);
      },
    );

    await t.step("the root filesystem is read-only unless -w", async () => {
      const result = await bed.enroot(["start", "box", "sh", "-c", "echo x > /made"]);
      assertStringIncludes(result.stderr, "Read-only file system");
      assertEquals(await inside("echo x > /made; cat /made", "-w"), "x\n");
      assertEquals(await inside("cat /made"), "x\n");
      assertEquals(
        await bed.succeed(["start", "box", "sh", "-c", "echo y > /made; cat /made"], {
          env: { ENROOT_ROOTFS_WRITABLE: "y" },
        }),
        "y\n",
      );
    });

    await t.step("the image's volume can be written all the same", async () => {
      assertEquals(await inside("echo v > /data/file; cat /data/file"), "v\n");
    });

    await t.step("-r makes the caller root, otherwise he keeps his ID", async () => {
      assertEquals(await inside("id -u; id -g"), `${bed.uid}\n${bed.uid}\n`);
      assertEquals(await inside("id -u; id -g", "-r"), "0\n0\n");
      assertEquals(await inside("chown 1:1 /made && echo accepted", "-r", "-w"), "accepted\n");
    });

    await t.step("no capability is left without -r, and no new privileges can be had", async () => {
      const text = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
      const lines = (await inside(text)).trim().split("\n");
      const zero = "0000000000000000";
      assertEquals(Object.fromEntries(lines.map((line) => line.split(":\t"))), {
        ...{ CapInh: zero, CapPrm: zero, CapEff: zero, CapBnd: zero, CapAmb: zero },
        NoNewPrivs: "1",
      });
    });

    await t.step("--rc takes the place of /etc/rc", async () => {
      await Deno.writeTextFile(`${bed.work}/rc`, `echo "mine: $1 $2"\n`);
      await bed.own();
      assertEquals(await start("--rc", `${bed.work}/rc`, "box", "a b", "c"), "mine: a b c\n");
      const before = await Deno.readTextFile(`${bed.data}/box/etc/rc`);
      assertStringIncludes(before, "/opt/app/bin/entry");
    });

    await t.step(
      "without /etc/rc a command is found by name, and text with spaces is run",
      async () => {
        const rc = `${bed.data}/box/etc/rc`;
        const text = await Deno.readTextFile(rc);
        await Deno.remove(rc);
        try {
          assertEquals(await start("box", "echo", "a b", "*"), "a b *\n");
          assertEquals(await start("box", "echo $((1 + 2))"), "3\n");
        } finally {
          await Deno.writeTextFile(rc, text, { mode: 0o755 });
          await bed.own();
        }
      },
    );

    await t.step("devices, process table and the usual mounts are there", async () => {
      const text = `
        test -c /dev/null && test -d /proc/$$ && test -d /sys/kernel && echo devices
        echo x > /tmp/f && echo tmp; test -d /dev/shm && echo shm
        grep -cE '^[^ ]+ /(proc|sys|dev|tmp) ' /proc/mounts > /tmp/n && [ $(cat /tmp/n) -ge 4 ] && echo mounts`;
      const hosts = await Deno.readTextFile("/etc/hosts").catch(() => undefined);
      const lines = (await inside(text)).trim().split("\n");
      assertEquals(lines, ["devices", "tmp", "shm", "mounts"]);
      if (hosts !== undefined) assertEquals(await inside("cat /etc/hosts"), hosts);
      const resolv = await Deno.readTextFile("/etc/resolv.conf").catch(() => undefined);
      if (resolv !== undefined) assertEquals(await inside("cat /etc/resolv.conf"), resolv);
    });

    await t.step("limits, umask and signal dispositions are the caller's", async () => {
      const set = `ulimit -Sn 333; ulimit -Hn 4444; ulimit -Sc 0; ulimit -St 1000; umask 0137
        trap '' HUP USR2 PIPE`;
      const show = "ulimit -aS; ulimit -aH; umask; grep -E '^Sig(Blk|Ign|Cgt)' /proc/$$/status";
      const outside = await bed.run(["bash", "-c", `${set}; exec bash -c "$0"`, show]);
      const within = await bed.run(
        ["bash", "-c", `${set}; exec "$0" start box bash -c "$1"`, bed.executable, show],
      );
      assertStringIncludes(outside.stdout, "333");
      assertEquals(publicSignals(within.stdout), publicSignals(outside.stdout), within.stderr);
    });

    await t.step("descriptors of the caller stay open, none of enroot's own", async () => {
      const open = `exec 5> "$1/passed"; shift 1; exec "$@"`;
      const shell = ["sh", "-c", "echo five >&5; ls /proc/$$/fd"];
      const run = (argv: string[]) => bed.run(["bash", "-c", open, "bash", bed.work, ...argv]);
      const outside = await run(shell);
      const within = await run([bed.executable, "start", "box", ...shell]);
      assertEquals(await Deno.readTextFile(`${bed.work}/passed`), "five\n", within.stderr);
      assertMatch(outside.stdout, /^5$/m);
      assertEquals(within.stdout, outside.stdout);
    });

    await t.step("a stopped container waits, is listed, and can be looked into", async () => {
      const argv = ["start", "box", "sh", "-c", "kill -STOP $$ ; exit 3"];
      const child = bed.start([bed.executable, ...argv]);
      try {
        await until(async () =>
          /^State:\tT/m.test(await Deno.readTextFile(`/proc/${child.pid}/status`)) &&
          (await Deno.readTextFile(`/proc/${child.pid}/comm`)).trim() === "sh"
        );
        for (const name of ["mnt", "user"]) {
          const own = await Deno.readLink(`/proc/self/ns/${name}`);
          assert(await Deno.readLink(`/proc/${child.pid}/ns/${name}`) !== own);
        }
        const rows = (await bed.succeed(["list", "-f"])).trim().split("\n");
        assertMatch(
          rows[0] ?? "",
          /^NAME +PID +COMM +STATE +STARTED +TIME +MNTNS +USERNS +COMMAND/,
        );
        assertMatch(rows[1] ?? "", new RegExp(`^box +${child.pid} +sh +T`));
        const [box] = JSON.parse(await bed.succeed(["list", "--json"]));
        assertEquals([box.name, box.processes[0].pid], ["box", child.pid]);
      } finally {
        child.kill("SIGCONT");
      }
      assertEquals((await child.status).code, 3);
      assertMatch(await bed.succeed(["list", "-f"]), /\nbox\s*\n$/);
    });

    await t.step("several run at once", async () => {
      const runs = Array.from({ length: 4 }, (_, index) => inside(`sleep 0.3; echo ${index}`));
      assertEquals(await Promise.all(runs), ["0\n", "1\n", "2\n", "3\n"]);
    });
  });
}

/** Signals 32 to 34 belong to the C library, which sets them as it likes. */
function publicSignals(text: string): string {
  return text.replaceAll(
    /^(Sig\w+:\t)([0-9a-f]{16})$/gm,
    (_, name: string, mask: string) =>
      `${name}${(BigInt(`0x${mask}`) & ~0x3_8000_0000n).toString(16)}`,
  );
}

/** Wait for the first output of a program. */
async function firstBytes(child: Deno.ChildProcess): Promise<void> {
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
}

/** Wait until something holds. @throws {Error} after ten seconds */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("waited ten seconds in vain");
}
