import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

const links = "for kind in user mnt cgroup pid; do readlink /proc/self/ns/$kind; done";

for (const user of slowUsers) {
  Deno.test(`exec in a container on ZFS, as ${user}`, async (t) => {
    await using store = await ZfsBed.make(user);
    const { bed, dataset } = store;
    await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/motd": "of the image\n" });
    await bed.own();
    await store.succeed(["import", "-o", "image.sqsh", "oci:layout:x"]);
    await store.succeed(["create", "-n", "box", "image.sqsh"]);
    const exec = (pid: number, text: string): Promise<string> =>
      store.succeed(["exec", String(pid), "sh", "-c", text]);

    /** While a container runs, and with what it said of its namespaces. */
    async function running(
      args: readonly string[],
      body: (pid: number, said: string) => Promise<void>,
    ): Promise<void> {
      const child = bed.start(
        [bed.executable, "start", ...args, "sh", "-c", `${links}; echo ready; read -r line`],
        { env: store.env, stdin: "piped" },
      );
      const stderr = new Response(child.stderr).text();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      try {
        let said = "";
        while (!said.endsWith("ready\n")) {
          const { value, done } = await reader.read();
          if (done) throw new Error(`the container ended: ${await stderr}`);
          said += value;
        }
        await body(child.pid, said.slice(0, -"ready\n".length));
      } finally {
        await child.stdin.close();
        await reader.cancel();
        await child.status;
        await stderr;
      }
    }

    for (const options of [[], ["--pid"], ["--root", "--rw"]]) {
      await t.step(`it joins all namespaces: start ${options.join(" ")}`, async () => {
        await running([...options, "box"], async (pid, said) => {
          assertEquals(await exec(pid, links), said);
          assertEquals(await exec(pid, "cat /etc/motd"), "of the image\n");
        });
      });
    }

    await t.step("what it writes is in the container's dataset", async () => {
      await running(["--rw", "box"], async (pid) => {
        await exec(pid, "echo written > /root/x");
        assertEquals(await Deno.readTextFile(`${dataset.path}/box/root/x`), "written\n");
      });
    });

    await t.step("it joins one that was started of an image", async () => {
      await running(["image.sqsh"], async (pid, said) => {
        assertEquals(await exec(pid, links), said);
        assertEquals(await exec(pid, "cat /etc/motd"), "of the image\n");
      });
    });

    await t.step("it joins one that was removed while it runs, and not its successor", async () => {
      await running(["--rw", "box"], async (pid, said) => {
        await exec(pid, "echo old > /root/whose");
        const { code, stderr } = await store.enroot(["remove", "-f", "box"]);
        assertEquals(code, 0, stderr);
        assertStringIncludes(stderr, String(pid));
        await store.succeed(["create", "-n", "box", "image.sqsh"]);
        assertEquals(await exec(pid, `cat /root/whose; ${links}`), `old\n${said}`);
        const other = await store.enroot(["start", "box", "cat", "/root/whose"]);
        assertMatch(other.stderr, /No such file/);
      });
      await store.succeed(["remove", "-f", "box"]);
      assertEquals(await store.succeed(["list"]), "");
    });
  });
}
