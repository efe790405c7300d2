import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { run } from "../support/command.ts";

for (const user of users) {
  Deno.test(`a container gets hold neither of our programs nor of what they know, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await makeBusyboxImage(`${bed.work}/layout`, "x");
    await bed.own();
    await bed.succeed(["load", "-n", "c", "oci:layout:x"]);
    const root = `${bed.data}/c`;
    const script = async (path: string, text: string): Promise<void> => {
      await Deno.writeTextFile(`${root}/${path}`, text);
      await Deno.chmod(`${root}/${path}`, 0o755);
    };

    await t.step("what `/proc/self/exe` is at the last step is sealed", async () => {
      // The program that executes this file is executed by it in turn, and says which it is.
      await script("bin/which", "#!/proc/self/exe --help\n");
      await Deno.remove(`${root}/bin/sh`);
      await script("bin/sh", "#!/proc/self/exe --help\n");
      const asShell = await bed.enroot(["start", "c", "anything at all"]);
      assertStringIncludes(asShell.stdout + asShell.stderr, "Usage: enroot-nsenter");
      await Deno.remove(`${root}/bin/sh`);
      await Deno.symlink("busybox", `${root}/bin/sh`);
    });

    await t.step("the same for `exec`", async () => {
      const child = bed.start([bed.executable, "start", "c", "sh", "-c", "echo $$; exec sleep 60"]);
      const reader = child.stdout.getReader();
      try {
        const pid = new TextDecoder().decode((await reader.read()).value).trim();
        const { stdout, stderr } = await bed.enroot(["exec", pid, "/bin/which"]);
        assertStringIncludes(stdout + stderr, "Usage: enroot-nsenter");
        // What it is can be seen from inside, and is no file of the host.
        await run(["mkfifo", "--mode=666", `${root}/root/fifo`]);
        await script("bin/wait", "#!/proc/self/exe --envfile=/root/fifo\n");
        const waits = bed.start([bed.executable, "exec", pid, "/bin/wait"]);
        try {
          let link = "";
          for (let tries = 0; tries < 100 && !/memfd/.test(link); tries++) {
            await new Promise((resolve) => setTimeout(resolve, 50));
            link = await Deno.readLink(`/proc/${waits.pid}/exe`).catch(() => "");
          }
          assertMatch(link, /^\/memfd:enroot-nsenter/);
        } finally {
          waits.kill("SIGKILL");
          await Promise.all([
            waits.status,
            waits.stdout.cancel(),
            waits.stderr.cancel(),
          ]);
        }
      } finally {
        child.kill("SIGKILL");
        await Promise.all([child.status, reader.cancel(), child.stderr.cancel()]);
      }
    });

    await t.step("links into `/proc` show the container nothing of the start", async () => {
      const env = { SECRET_TOKEN: "hunter2" };
      for (const name of ["passwd", "group", "environment"]) {
        await run(["ln", "-sf", "/proc/self/environ", `${root}/etc/${name}`]);
      }
      await Deno.symlink("/proc/self", `${root}/etc/skel`);
      const { stdout, stderr } = await bed.enroot(
        [
          "start",
          "-w",
          "c",
          "sh",
          "-c",
          "cat /etc/passwd /etc/group; env",
        ],
        { env },
      );
      assertEquals((stdout + stderr).includes("hunter2"), false, stdout + stderr);
      const found = await bed.run(["grep", "-rl", "hunter2", root]);
      assertEquals(found.stdout, "");
    });
  });
}
