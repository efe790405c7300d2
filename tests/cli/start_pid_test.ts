import { assert, assertEquals, assertMatch } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

const handled = (signal: string): string =>
  `trap 'exit 9' ${signal}; echo ready; while :; do sleep 0.05; done`;
const unhandled = "echo ready; while :; do sleep 0.05; done";

for (const user of users) {
  Deno.test(`start --pid, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    await Deno.mkdir(`${bed.sysconf}/hooks.d`);

    /** A container that has said `ready`. */
    async function started(text: string, options: readonly string[] = []): Promise<Running> {
      const argv = [bed.executable, "start", "--pid", ...options, "box", "sh", "-c", text];
      // A shell in the background has what it starts ignore some, and a trap cannot undo that.
      const child = bed.start(["env", "--default-signal", ...argv]);
      const reader = child.stdout.getReader();
      const { value, done } = await reader.read();
      if (done) throw new Error(await new Response(child.stderr).text());
      const said = new TextDecoder().decode(value);
      reader.releaseLock();
      await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
      return { child, said, command: await childOf(child.pid) };
    }

    await t.step(
      "the command sees its own processes only, and is none that is special",
      async () => {
        const out = await box.succeed("echo $$; ls -d /proc/[0-9]*; cat /proc/1/comm", ["--pid"]);
        assertEquals(out, "2\n/proc/1\n/proc/2\n/proc/3\nenroot-init\n".replace("/proc/3\n", ""));
        const mounts = await box.succeed("grep ' /proc ' /proc/mounts", ["--pid"]);
        assertMatch(mounts, /^proc \/proc proc rw,nosuid,nodev,noexec[^\n]*\n$/);
      },
    );

    await t.step("ENROOT_UNSHARE_PID is as good", async () => {
      const env = { ENROOT_UNSHARE_PID: "y" };
      assertEquals(await bed.succeed(["start", "box", "sh", "-c", "echo $$"], { env }), "2\n");
    });

    const ends: [text: string, end: number | string][] = [
      ...[0, 1, 7, 255].map((code): [string, number] => [`exit ${code}`, code]),
      ...["TERM", "INT", "HUP", "KILL", "SEGV", "USR1", "ALRM"].map(
        (name): [string, string] => [`kill -${name} $$`, `SIG${name}`],
      ),
    ];
    for (const [text, end] of ends) {
      await t.step(`a command that does '${text}' is what start ends like`, async () => {
        const { code, signal, stderr } = await box.sh(text, ["--pid"]);
        assertEquals([signal ?? code, stderr], [end, ""]);
      });
    }

    for (const name of ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM"] as const) {
      await t.step(`SIG${name} is handed on`, async () => {
        const { child } = await started(handled(name));
        child.kill(`SIG${name}`);
        assertEquals((await child.status).code, 9);
      });
    }

    for (const name of ["TERM", "INT", "HUP", "USR1", "KILL"] as const) {
      await t.step(`SIG${name} ends a command that does nothing about it`, async () => {
        const { child, command } = await started(unhandled);
        child.kill(`SIG${name}`);
        assertEquals((await child.status).signal, `SIG${name}`);
        assertEquals(await isGoneWithin(command, 5), true);
      });
    }

    await t.step("it stops when the command stops, and both go on together", async () => {
      const { child, command } = await started("echo ready; kill -STOP $$; exit 5");
      await until(() => stateOf(child.pid) === "T");
      assertEquals(stateOf(command), "T");
      child.kill("SIGCONT");
      assertEquals((await child.status).code, 5);

      const second = await started(handled("TERM"));
      Deno.kill(second.command, "SIGSTOP");
      await until(() => stateOf(second.child.pid) === "T" && stateOf(second.command) === "T");
      second.child.kill("SIGCONT");
      second.child.kill("SIGTERM");
      assertEquals((await second.child.status).code, 9);
    });

    await t.step(
      "what the command leaves behind ends with it, and zombies are reaped",
      async () => {
        const script = "(sleep 60 & sleep 0 & exit); for i in $(seq 100); do sleep 0.1; " +
          "count=$(ps -o stat,comm | grep -c '^Z'); [ $count = 0 ] && break; done; echo $count; exit 3";
        const { code, stdout } = await box.sh(script, ["--pid"]);
        assertEquals([code, stdout], [3, "0\n"]);
        const left = await Array.fromAsync(Deno.readDir("/proc"));
        const sleeping = left.filter(({ name }) => /^\d+$/.test(name)).filter(({ name }) => {
          try {
            return Deno.readTextFileSync(`/proc/${name}/cmdline`) === "sleep\x0060\0";
          } catch {
            return false;
          }
        });
        assertEquals(sleeping, []);
      },
    );

    await t.step("list shows the command, with the PID that exec takes", async () => {
      const { child, command } = await started(handled("TERM"));
      const rows = (await bed.succeed(["list", "-f"])).trimEnd().split("\n");
      assertEquals(rows.length, 2);
      // Between two sleeps it may be found running.
      assertMatch(rows[1] ?? "", new RegExp(`^box +${command} +sh +[DRS] +`));
      child.kill("SIGTERM");
      await child.status;
    });

    await t.step("a command that takes the name of the first process is shown too", async () => {
      const { child, command } = await started(
        `printf enroot-init > /proc/self/comm; ${handled("TERM")}`,
      );
      const rows = (await bed.succeed(["list", "-f"])).trimEnd().split("\n");
      assertMatch(rows[1] ?? "", new RegExp(`^box +${command} +enroot-init +[DRS] +`));
      const seen = await bed.succeed(["exec", String(child.pid), "cat", "/proc/2/comm"]);
      assertEquals(seen, "enroot-init\n");
      child.kill("SIGTERM");
      await child.status;
    });

    await t.step(
      "signals that the caller ignores are ignored, and its end is noticed",
      async () => {
        const text = '$SIG{HUP} = $SIG{CHLD} = "IGNORE"; exec @ARGV';
        const show = "grep SigIgn /proc/self/status; exit 6";
        await box.configure("system", "hooks.d/10-a.sh", "#!/bin/sh\nexit 0\n");
        const argv = [bed.executable, "start", "--pid", "box", "sh", "-c", show];
        const { stdout, code } = await bed.run(["perl", "-e", text, ...argv]);
        const [, mask = "0"] = stdout.split(/\s+/);
        assertEquals([BigInt(`0x${mask}`) & 1n, code], [1n, 6]);
      },
    );

    await t.step(
      "the caller's descriptors are the command's, and it alone keeps them open",
      async () => {
        const open = 'exec 7> "$1/seven"; shift; exec "$@"';
        const list = ["sh", "-c", "ls /proc/$$/fd; echo seven >&7"];
        const argv = (
          ...more: string[]
        ): string[] => ["bash", "-c", open, "bash", bed.work, ...more];
        const plain = await bed.run(argv(...list));
        const own = await bed.run(argv(bed.executable, "start", "--pid", "box", ...list));
        assertEquals(own.stdout, plain.stdout, own.stderr);
        assertEquals(await Deno.readTextFile(`${bed.work}/seven`), "seven\n");
      },
    );

    await t.step("with -r it is root there, with the capabilities of the namespace", async () => {
      const text = "id -u; echo $$; mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted";
      assertEquals(await box.succeed(text, ["--pid", "-r"]), "0\n2\nmounted\n");
    });
  });
}

interface Running {
  readonly child: Deno.ChildProcess;
  readonly said: string;
  /** The PID of the command outside. */
  readonly command: number;
}

/** The child that is the second process of the namespace. */
async function childOf(pid: number): Promise<number> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  for (const each of text.trim().split(" ")) {
    const status = await Deno.readTextFile(`/proc/${each}/status`);
    if (/^NSpid:.*\t2$/m.test(status)) return Number(each);
  }
  throw new Error(`${pid} has no command`);
}

function stateOf(pid: number): string {
  const [, state = ""] = /^State:\t(.)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return state;
}

async function isGoneWithin(pid: number, seconds: number): Promise<boolean> {
  for (let tries = 0; tries < seconds * 40; tries++) {
    const isThere = await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    if (!isThere || stateOf(pid) === "Z") return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}

/** Wait until something holds. @throws {Error} after ten seconds */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert(false, "waited ten seconds in vain");
}
