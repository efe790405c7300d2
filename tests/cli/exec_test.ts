import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

/** What is the same for all processes of a container that has not been let out of anything. */
const status = "grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
const kinds = ["user", "mnt", "net", "ipc", "uts", "cgroup"];

for (const user of users) {
  Deno.test(`exec, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    await Deno.mkdir(`${bed.sysconf}/hooks.d`);

    /** While a container runs that has said what it is told to say. */
    async function running(
      options: readonly string[],
      text: string,
      body: (pid: number, said: string) => Promise<void>,
    ): Promise<void> {
      const script = `${text}; echo ready; read -r line`;
      const child = bed.start(
        [bed.executable, "start", ...options, "box", "sh", "-c", script],
        { env: { HOST: "only" }, stdin: "piped" },
      );
      const stderr = new Response(child.stderr).text();
      let said = "";
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      while (!said.endsWith("ready\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the container ended: ${await stderr}`);
        said += value;
      }
      try {
        await body(child.pid, said.slice(0, -"ready\n".length));
      } finally {
        await child.stdin.close();
        await reader.cancel();
        await child.status;
        await stderr;
      }
    }
    const exec = (pid: number, text: string, ...options: string[]): Promise<string> =>
      bed.succeed(["exec", ...options, String(pid), "sh", "-c", text]);

    for (const options of [[], ["-r"], ["--net", "--ipc", "--uts"], ["--pid"], ["-r", "--pid"]]) {
      await t.step(
        `it joins all namespaces, with the same privileges: start ${options}`,
        async () => {
          const links = `for kind in ${kinds.join(" ")} pid; do readlink /proc/self/ns/$kind; done`;
          await running(options, `${links}; ${status}`, async (pid, said) => {
            assertEquals(await exec(pid, `${links}; ${status}`), said);
          });
        },
      );
    }

    await t.step(
      "environment and working directory are the target's, -e adds to them",
      async () => {
        const conf = await box.file("conf", "rc() { cd /etc; A='x\n y' exec \"$@\"; }\n");
        await running(["-c", conf, "-e", "B=1"], "pwd", async (pid, said) => {
          assertEquals(said, "/etc\n");
          const text = 'pwd; echo "$A|$B|$C|$HOST|$PATH"; env | grep -c ENROOT_; true';
          assertEquals(
            await bed.succeed(
              ["exec", "-e", "HOST", "--env=C=a b", String(pid), "sh", "-c", text],
              {
                env: { HOST: "of this call", PATH: "/usr/bin:/bin", ENROOT_DEBUG: "n" },
              },
            ),
            "/etc\nx\n y|1|a b|of this call|/bin\n0\n",
          );
          assertEquals(await exec(pid, 'echo "$HOST"'), "\n");
        });
      },
    );

    await t.step("its root is the target's", async () => {
      await Deno.mkdir(`${box.root}/inner/bin`, { recursive: true });
      await Deno.copyFile(`${box.root}/bin/busybox`, `${box.root}/inner/bin/busybox`);
      await Deno.chmod(`${box.root}/inner/bin/busybox`, 0o755);
      await Deno.symlink("busybox", `${box.root}/inner/bin/sh`);
      await bed.own();
      const conf = await box.file("conf", 'rc() { exec chroot /inner "$@"; }\n');
      await running(["-r", "-c", conf], "echo /*", async (pid, said) => {
        assertEquals(said, "/bin\n");
        assertEquals(await exec(pid, "echo /*"), "/bin\n");
      });
    });

    await t.step("the PID is that of enroot exec, and the end comes through", async () => {
      await running([], "true", async (pid) => {
        const child = bed.start([
          bed.executable,
          "exec",
          String(pid),
          "sh",
          "-c",
          "echo $$; exit 7",
        ]);
        const { stdout, code } = await child.output();
        assertEquals([new TextDecoder().decode(stdout), code], [`${child.pid}\n`, 7]);
      });
    });

    await t.step("with a process namespace it ends as the command does", async () => {
      await running(["--pid"], "true", async (pid) => {
        for (const [text, end] of [["exit 7", 7], ["kill -TERM $$", "SIGTERM"]] as const) {
          const { code, signal } = await bed.enroot(["exec", String(pid), "sh", "-c", text]);
          assertEquals(signal ?? code, end);
        }
        assertEquals(await exec(pid, "test -d /proc/$$ && test $$ -lt 100 && echo own"), "own\n");
        // The one that enroot list shows is the command itself.
        const [, shown = ""] = (await bed.succeed(["list", "-f"])).split("\n");
        assertMatch(shown, /^box +\d+ +sh +[DRS] /);
        const [, listed] = shown.split(/ +/);
        assert(Number(listed) !== pid);
        assertEquals(await exec(Number(listed), "echo same"), "same\n");
      });
    });

    await t.step("limits, signals and descriptors are the caller's, none of enroot's", async () => {
      await running([], "true", async (pid) => {
        const show = "ulimit -n; umask; grep -E '^Sig(Blk|Ign)' /proc/$$/status; ls /proc/$$/fd";
        const set = "ulimit -Sn 333; umask 0137; trap '' HUP PIPE; exec 5< /dev/null";
        const outside = await bed.run(["bash", "-c", `${set}; exec busybox sh -c "$0"`, show]);
        const inside = await bed.run([
          ...["bash", "-c", `${set}; exec "$0" exec "$1" sh -c "$2"`],
          ...[bed.executable, String(pid), show],
        ]);
        assertEquals(inside.stdout, outside.stdout, inside.stderr);
      });
    });

    const refused: [what: string, words: string[], message: RegExp][] = [
      ["a process that is not there", ["4194303", "true"], /there is no process 4194303/],
      ["another user's process", ["OTHER", "true"], /process \d+ is not yours/],
      ["a process in no container", ["OWN", "true"], /process \d+ runs in no container/],
      ["no number", ["box", "true"], /'box' is no process ID/],
      ["zero", ["0", "true"], /'0' is no process ID/],
      ["no command", ["1"], /'exec' needs a command/],
    ];
    for (const [what, words, message] of refused) {
      await t.step(`${what} is refused`, async () => {
        const own = bed.start(["sleep", "20"]);
        // Of a user that this one is not.
        const isRoot = bed.uid === 0;
        const other = isRoot
          ? new Deno.Command("setpriv", {
            args: ["--reuid", "12345", "--clear-groups", "sleep", "20"],
          }).spawn()
          : undefined;
        const otherPid = String(other?.pid ?? Deno.ppid);
        await new Promise((resolve) => setTimeout(resolve, 100));
        try {
          const args = words.map((word) =>
            ({ OWN: String(own.pid), OTHER: otherPid })[word] ?? word
          );
          const { code, stdout, stderr } = await bed.enroot(["exec", ...args]);
          assertEquals([code, stdout], [1, ""]);
          assertMatch(stderr, message);
        } finally {
          for (const child of [own, other]) child?.kill("SIGKILL");
          await Promise.all([own.output(), other?.status]);
        }
      });
    }

    await t.step("a program that is not there gives 127, as of a shell, or 126", async () => {
      await running([], "true", async (pid) => {
        for (const [program, end] of [["nothing", 127], ["/etc", 126]] as const) {
          const { code, stderr } = await bed.enroot(["exec", String(pid), program]);
          assertEquals(code, end);
          assertStringIncludes(stderr, `cannot run ${program}: `);
        }
      });
    });

    await t.step("a container that is still being started is not joined", async () => {
      await box.configure("system", "hooks.d/10-slow.sh", "#!/bin/sh\nsleep 1\n");
      const child = bed.start([bed.executable, "start", "box", "true"]);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { code, stderr } = await bed.enroot(["exec", String(child.pid), "true"]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, "is still being started");
      await child.output();
    });
  });
}
