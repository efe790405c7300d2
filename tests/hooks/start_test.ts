import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { openToAll } from "../support/fixture.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { runAsRoot } from "./as_root.ts";

for (const user of users) {
  Deno.test(`the default hooks in a start, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await makeSampleImage(`${bed.work}/layout`);
    await openToAll(`${bed.work}/layout`);
    await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:sample`]);
    const rootfs = `${bed.data}/box`;
    const inside = (text: string, args: readonly string[] = [], env = {}): Promise<string> =>
      bed.succeed(["start", ...args, "box", "sh", "-c", text], { env });
    const mountsOf = async (args: readonly string[] = [], env = {}): Promise<string[][]> => {
      const text = await inside("cat /proc/self/mountinfo", args, env);
      return text.trimEnd().split("\n").map((line) => line.split(" ").slice(3, 6));
    };

    await t.step("cgroups are read-only", async () => {
      const cgroups = (await mountsOf()).filter(([, path]) => path?.startsWith("/sys/fs/cgroup"));
      const last = new Map(cgroups.map(([, path = "", options = ""]) => [path, options]));
      if (last.size > 1) last.delete("/sys/fs/cgroup");
      for (const [path, options] of last) assertMatch(options, /^ro,/, path);
      const wrote = await inside(
        "for f in $(find /sys/fs/cgroup -name cgroup.procs | head -3); do " +
          "(echo $$ > $f) 2> /dev/null && echo $f; done; true",
      );
      assertEquals(wrote, "");
    });

    await t.step("with --ipc, /dev is minimal, of the container's own, and works", async () => {
      const text = "cd /dev; echo *; echo gone > null; head -c 3 urandom | wc -c; " +
        "echo 1 > shm/x; ls shm mqueue; echo in | cat /dev/fd/0; (echo out > /dev/stdout) | cat";
      const stdout = await inside(text, ["--ipc"]);
      assertEquals(
        stdout,
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero\n" +
          "3\nmqueue:\n\nshm:\nx\nin\nout\n",
      );
    });

    await t.step(
      "ENROOT_RESTRICT_DEV gives a minimal /dev with the host's shared memory",
      async () => {
        const name = `zenroot-test-${bed.uid}-${Deno.pid}`;
        await Deno.writeTextFile(`/dev/shm/${name}`, "shared");
        try {
          const env = { ENROOT_RESTRICT_DEV: "y" };
          const stdout = await inside(`ls /dev | wc -l; cat /dev/shm/${name}`, [], env);
          assertEquals(stdout, "14\nshared");
        } finally {
          await Deno.remove(`/dev/shm/${name}`);
        }
      },
    );

    await t.step(
      "ENROOT_MOUNT_HOME mounts the home, without what the start has mounted",
      async () => {
        const env = { ENROOT_MOUNT_HOME: "y" };
        const stdout = await inside('echo "$HOME"; echo hello > "$HOME/from inside"', [], env);
        assertEquals(stdout, `${bed.home}\n`);
        assertEquals(await Deno.readTextFile(`${bed.home}/from inside`), "hello\n");
        const below = (await mountsOf([], env)).map(([, path = ""]) => path)
          .filter((path) => path.startsWith(bed.home));
        assertEquals(below, [bed.home]);
        const gone = await bed.enroot(["start", "box", "true"], {
          env: {
            ...env,
            HOME: `${bed.home}/gone`,
            ENROOT_DATA_PATH: bed.data,
            ENROOT_CACHE_PATH: `${bed.home}/.cache/enroot`,
          },
        });
        assertEquals(gone.code, 1);
        assertStringIncludes(gone.stderr, `the home folder ${bed.home}/gone is not there`);
      },
    );

    await t.step("apt keeps root, and its folder is the container's own", async () => {
      await Deno.mkdir(`${rootfs}/etc/apt/apt.conf.d`, { recursive: true });
      await bed.own();
      const file = "/etc/apt/apt.conf.d/99enroot";
      assertEquals(await inside(`cat ${file}`, ["--root"]), 'APT::Sandbox::User "root";\n');
      await Deno.remove(`${rootfs}/etc/apt/apt.conf.d`, { recursive: true });
      await Deno.mkdir(`${bed.work}/outside`);
      await Deno.symlink(`${bed.work}/outside`, `${rootfs}/etc/apt/apt.conf.d`);
      await bed.own();
      await inside("true", ["--root"]);
      assertEquals([...Deno.readDirSync(`${bed.work}/outside`)], []);
    });

    await t.step("GPUs that nobody can give are a failure, all of none a warning", async () => {
      const start = (devices: string): ReturnType<Bed["enroot"]> =>
        bed.enroot(["start", "-e", `NVIDIA_VISIBLE_DEVICES=${devices}`, "box", "true"]);
      const all = await start("all");
      assertEquals(all.code, 0);
      assertStringIncludes(all.stderr, "no GPU in the container");
      const one = await start("0");
      assertEquals(one.code, 1);
      assertMatch(one.stderr, /nvidia-ctk cdi generate.*\n.*98-nvidia\.sh failed/);
      assert(!(await start("void")).stderr.includes("GPU"));
    });

    if (Deno.uid() !== 0) return;
    await t.step("GPUs of a CDI specification are in the container", async () => {
      const spec = {
        cdiVersion: "0.5.0",
        kind: "nvidia.com/gpu",
        devices: [{
          name: "0",
          containerEdits: { deviceNodes: [{ path: "/dev/made-up0", hostPath: "/dev/zero" }] },
        }],
        containerEdits: {
          env: ["MADE_UP=${HOME}"],
          mounts: [{
            hostPath: "/opt/cdi/libmade-up.so.1.2",
            containerPath: "/usr/lib64/libmade-up.so.1.2",
            options: ["ro", "nosuid", "nodev", "bind"],
          }],
        },
      };
      await Deno.writeTextFile(`${bed.work}/nvidia.json`, JSON.stringify(spec));
      const become = bed.uid === 0
        ? []
        : ["setpriv", "--reuid", String(bed.uid), "--regid", String(bed.uid), "--clear-groups"];
      const stdout = await runAsRoot(bed, [
        ...["unshare", "--mount", "sh", "-ec"],
        "mount -t tmpfs none /opt; " +
        "mkdir /opt/cdi; echo library > /opt/cdi/libmade-up.so.1.2; " +
        "ln -s libmade-up.so.1.2 /opt/cdi/libmade-up.so.1; mount -t tmpfs none /var/run; " +
        'mkdir -p /var/run/cdi; cp "$0" /var/run/cdi/; exec "$@"',
        `${bed.work}/nvidia.json`,
        ...become,
        ...[bed.executable, "start", "-e", "NVIDIA_VISIBLE_DEVICES=0", "box", "sh", "-c"],
        'head -c 2 /dev/made-up0 | wc -c; echo "$MADE_UP"; ' +
        "cat $(find /usr/lib* -name 'libmade-up.so.1*')",
      ], { ENROOT_RESTRICT_DEV: "y" });
      assertEquals(stdout, "2\n${HOME}\nlibrary\nlibrary\n");
    });
  });
}
