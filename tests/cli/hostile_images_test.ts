import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { makeScriptedImage, makeScriptedSquashfs } from "../support/scripted_image.ts";

type Config = Readonly<Record<string, unknown>>;

for (const user of users) {
  Deno.test(`images that want more than they should have, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    let count = 0;

    /** Load an image of its own into the container `box`. */
    async function load(script: string, config: Config = {}, env = {}): Promise<string> {
      const layout = `${bed.work}/layout${count++}`;
      await makeScriptedImage(layout, script, config);
      const { code, stderr } = await bed.enroot(["load", "-f", "-n", "box", `oci:${layout}:x`], {
        env,
      });
      assertEquals(code, 0, stderr);
      return stderr;
    }

    /** The same from a squashfs file. */
    async function create(script: string, options: readonly string[] = []): Promise<string> {
      const file = `${bed.work}/image${count++}.sqsh`;
      await makeScriptedSquashfs(file, script, options);
      const { code, stderr } = await bed.enroot(["create", "-f", "-n", "box", file]);
      assertEquals(code, 0, stderr);
      return stderr;
    }
    const inside = (text: string, env = {}): Promise<string> =>
      bed.succeed(["start", "box", "sh", "-c", text], { env });

    await t.step("their variables are text, whatever the host has of that name", async () => {
      const env = { SECRET: "hunter2" };
      const given = ["STOLEN=${SECRET}", "ODD=cost ${constructor} $$ $5", "BAD=x\0y", "AFTER=1"];
      await load("true", { Env: ["PATH=/bin", ...given], Volumes: { "/v-${SECRET}": {} } });
      assertEquals(
        await inside('echo "$STOLEN|$ODD|$BAD|$AFTER"; ls -d /v-*', env),
        "${SECRET}|cost ${constructor} $$ $5||1\n/v-${SECRET}\n",
      );
    });

    await t.step("a volume that is the root folder is none", async () => {
      await load("mkdir data", { Volumes: { "/": {}, "/data": {} } });
      assertEquals(
        await inside("echo x > /data/f; cat /data/f; echo x 2> /dev/null > /f || echo ro"),
        "x\nro\n",
      );
    });

    await t.step("volumes in volumes can be written", async () => {
      await load("mkdir -p data/deep", { Volumes: { "/data": {}, "/data/deep": {} } });
      assertEquals(
        await inside("echo x > /data/deep/f; echo y > /data/f; cat /data/deep/f /data/f"),
        "x\ny\n",
      );
    });

    await t.step("links that lead in a circle are an error that says so", async () => {
      const layout = `${bed.work}/loop`;
      await makeScriptedImage(layout, "ln -s b/x a; ln -s a/x b", { WorkingDir: "/a" });
      const result = await bed.enroot(["load", "-n", "loop", `oci:${layout}:x`]);
      assertEquals(result.code, 1);
      assertMatch(
        result.stderr,
        /\[ERROR\] .* working folder \/a: \/a: too many symlinks in the container/,
      );
    });

    await t.step(
      "the working folder is made in folders that their owner may not write",
      async () => {
        await load("chmod 555 .", { WorkingDir: "/app" });
        assertEquals(await inside("pwd"), "/app\n");
        assertEquals(await modeOf(`${bed.data}/box`), 0o555);
        await load("mkdir -p w/e; chmod 000 w/e; chmod 500 w", { WorkingDir: "/w/e/x" });
        assertEquals(await modeOf(`${bed.data}/box/w`), 0o500);
        assertEquals(await run(["stat", "-c", "%a %Y", `${bed.data}/box/w/e/x`]), "755 0\n");
        await load("rm -rf etc; chmod 555 .");
        assertEquals(await inside("ls /etc/rc"), "/etc/rc\n");
      },
    );

    await t.step("devices of a squashfs file are left out, and that is said", async () => {
      const devices = ["-p", "mem c 666 0 0 1 9", "-p", "etc/disk b 666 0 0 254 0"];
      assertStringIncludes(await create("true", devices), "[WARN] 2 device nodes were left out");
      assertEquals(await inside("ls /mem /etc/disk 2> /dev/null; echo none"), "none\n");
    });

    await t.step("all files of a squashfs file belong to whoever makes the container", async () => {
      await create("cp /bin/true bin/set-id", [
        ...["-force-uid", "1234", "-force-gid", "1234"],
        ...["-action", "chmod(06755)@name(set-id)"],
      ]);
      const path = `${bed.data}/box/bin/set-id`;
      assertEquals(await run(["stat", "-c", "%u %g %a", path]), `${bed.uid} ${bed.uid} 6755\n`);
    });

    await t.step("their fstab gets folders of their own, and nothing of the host's", async () => {
      await Deno.mkdir(`${bed.work}/private`, { recursive: true });
      await Deno.writeTextFile(`${bed.work}/private/key`, "TOPSECRET");
      await bed.own();
      await create(`mkdir data; cat > etc/fstab <<'EOT'
/ /.host none x-create=dir,rbind,rw
\${ENROOT_ROOTFS}/../../../../../../.. /.up none x-create=dir,rbind,rw
${bed.work}/private /mnt none x-create=dir,rbind
tmpfs /mnt/made/deep tmpfs x-create=dir
none /sys none remount,rw
x / none x-detach
\${ENROOT_ROOTFS}/data /data none bind,rw
\${ENROOT_ROOTFS}/sys /again none x-create=dir,rbind,rw
tmpfs /scratch tmpfs x-create=dir
EOT`);
      const { code, stdout, stderr } = await bed.enroot([
        ...["start", "box", "sh", "-c"],
        `ls -d /mnt/key /.host/tmp /.up/tmp /again/kernel 2> /dev/null
         echo d > /data/d && cat /data/d; echo s > /scratch/s && cat /scratch/s`,
      ]);
      assertEquals([code, stdout], [0, "d\ns\n"], stderr);
      assertEquals(stderr.match(/etc\/fstab of the container:\d+: /g)?.length, 5, stderr);
      assertStringIncludes(stderr, ":3: ");
      assertStringIncludes(stderr, "--mount");
      assertEquals([...Deno.readDirSync(`${bed.work}/private`)].length, 1);
    });

    await t.step(
      "a mount option that is a name of JavaScript's is an option like any other",
      async () => {
        const { code, stderr } = await bed.enroot([
          "start",
          "-m",
          "tmpfs:/x:tmpfs:constructor",
          "box",
          "true",
        ]);
        assertEquals(code, 1);
        assertMatch(stderr, /cannot mount tmpfs on \/x/);
      },
    );

    await t.step("what runs in them does not speak to the terminal by its name", async () => {
      await load("true");
      const child = bed.start([
        ...[bed.executable, "start", "box", "sh", "-c"],
        "printf 's\\033[2J x' > /proc/$$/comm; sleep 30; :",
        "\x1b]0;owned\x07 \u009b2J",
      ]);
      try {
        let rows = "";
        for (let tries = 0; tries < 100 && !rows.includes("s?[2J_x"); tries++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          rows = await bed.succeed(["list", "-f"]);
        }
        assertMatch(rows, /s\?\[2J_x .*\?\]0;owned\? \?2J\n/);
        const json = await bed.succeed(["list", "--json"]);
        assertMatch(JSON.parse(json)[0].processes[0].command, /owned/);
        for (const text of [rows, json]) assertEquals(/[^\P{Cc}\n]/u.test(text), false);
      } finally {
        child.kill("SIGKILL");
        await child.output();
      }
    });

    await t.step("a container wins over a file of its name in the current folder", async () => {
      await load("true");
      // Of an image that is not to be had here: what is said names the file that was taken.
      await Deno.writeTextFile(
        `${bed.work}/box`,
        `enroot-zfs-image:v1\nimage-config-sha256=${"0".repeat(64)}\narch=amd64\n` +
          "uri=oci:/nowhere:x\nimported=2026-01-02T03:04:05Z\n",
      );
      assertEquals(await inside("echo container"), "container\n");
      const { stderr } = await bed.enroot(["start", "./box", "true"]);
      assertStringIncludes(stderr, `${bed.work}/box is a pointer`);
      await Deno.rename(`${bed.work}/box`, `${bed.work}/only.sqsh`);
      const other = await bed.enroot(["start", "only.sqsh", "true"]);
      assertStringIncludes(other.stderr, `${bed.work}/only.sqsh is a pointer`);
    });

    await t.step("a data folder that was open is closed before anything is in it", async () => {
      const data = `${bed.work}/open`;
      await Deno.mkdir(data);
      await Deno.chmod(data, 0o755);
      await bed.own();
      const said = await load("cp /bin/true bin/set-id; chmod 4755 bin/set-id", {}, {
        ENROOT_DATA_PATH: data,
      });
      assertStringIncludes(said, `[WARN] closed ${data} to other users`);
      assertEquals(await modeOf(data), 0o700);
    });

    await t.step("without a home, what is loaded can be started", async () => {
      const layout = `${bed.work}/nohome`;
      await makeScriptedImage(layout, "true");
      const env = { ENROOT_DATA_PATH: `${bed.runtime}/enroot/share` };
      const options = { without: ["HOME"], ...(user === "root" ? { env } : {}) };
      await bed.succeed(["load", "-n", "box", `oci:${layout}:x`], options);
      assert((await Deno.stat(`${bed.runtime}/enroot/share/box`)).isDirectory);
      assertEquals(
        await bed.succeed(["start", "--rw", "box", "sh", "-c", "echo x > /f; cat /f"], options),
        "x\n",
      );
      assertEquals(await Deno.readTextFile(`${bed.runtime}/enroot/share/box/f`), "x\n");
    });
  });

  Deno.test(`a helper that somebody has put beside the executable is not run, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await makeScriptedImage(`${bed.work}/layout`, "true");
    await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:x`]);
    const planted = "#!/bin/sh\necho planted\n";
    const folder = bed.executable.slice(0, bed.executable.lastIndexOf("/"));
    const top = folder.slice(0, folder.lastIndexOf("/"));
    const start = (): Promise<string> =>
      bed.succeed(["start", "box", "sh", "-c", "echo container"]);

    await t.step("in a folder that everybody can write, sticky or not", async () => {
      await Deno.writeTextFile(`${folder}/enroot-nsenter`, planted, { mode: 0o755 });
      assertEquals(await start(), "planted\n");
      for (const mode of [0o1777, 0o777]) {
        await Deno.chmod(folder, mode);
        assertEquals(await start(), "container\n");
      }
      await Deno.chmod(folder, 0o755);
      await Deno.remove(`${folder}/enroot-nsenter`);
    });

    await t.step(
      "in a libexec that is not the caller's nor root's, or not theirs alone",
      async () => {
        await Deno.mkdir(`${top}/libexec/enroot`, { recursive: true });
        await Deno.writeTextFile(`${top}/libexec/enroot/enroot-nsenter`, planted, { mode: 0o755 });
        assertEquals(await start(), "planted\n");
        if (Deno.uid() === 0) await Deno.chown(`${top}/libexec`, 4242, 4242);
        else await Deno.chmod(`${top}/libexec`, 0o777);
        assertEquals(await start(), "container\n");
      },
    );
  });
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}
