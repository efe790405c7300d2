import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { openFuse } from "../support/fuse.ts";
import { leftovers, marked, nothingLeft, processesOf } from "../support/leftovers.ts";

/** What a container can see of itself, but for what is another one at each start. */
const portrait = `
  env; echo "$0 $*"; id; cat /proc/self/uid_map /proc/self/gid_map; pwd; umask; ulimit -aS; ulimit -aH
  grep -vE '^(Pid|Tgid|PPid|NSpid|NStgid|NSpgid|NSsid|Ngid|Vm|Rss|SigQ|Hugetlb|voluntary|nonvoluntary)' /proc/self/status
  ls /proc/self/fd
  stat -c '%n %f %u %g' / /bin /etc /etc/hosts /root
  stat -c '%n %f %u %g %s %h %Y' /bin/busybox /bin/sh /bin/own /root/secret /root/set-id /root/twin
  test /root/secret -ef /root/twin && echo one
  cat /etc/passwd /etc/group /root/secret 2>&1; ls -A / /root /tmp /run /var 2>&1
  touch /new 2>&1; rm /root/twin 2>&1; ls -A / /root; hostname; cat /proc/sys/kernel/ostype
  rm -f /new; test -e /root/twin || ln /root/secret /root/twin
  dd if=/bin/busybox bs=1k 2> /dev/null | md5sum`.trim().replaceAll("\n", ";");

/** Mounts as a container sees them, without what they are numbered and what its root is made of. */
function mountsOf(mountinfo: string): string[] {
  return mountinfo.trim().split("\n").map((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , , point = "", options = ""] = before.split(" ");
    const [type = "", source = ""] = after.split(" ");
    const isRoot = point === "/" || point === "/.lock";
    return `${point} ${options} ${isRoot ? "" : `${type} ${source}`}`.trimEnd();
  });
}

const overlays = { "the kernel's overlay": "y", "fuse-overlayfs": "n" } as const;

for (const user of users) {
  Deno.test(`start IMAGE on folders, as ${user}`, async (t) => {
    await using _fuse = await openFuse();
    await using bed = await Bed.make(user);
    const files = {
      "root/secret": "hidden",
      "bin/own": "x",
      "root/set-id": "",
      "etc/group": "root:x:0:\n",
      "root/closed": "c",
    };
    await makeBusyboxImage(`${bed.work}/layout`, "box", files);
    await openToAll(`${bed.work}/layout`);
    await bed.succeed(["load", "-n", "first", `oci:${bed.work}/layout:box`]);
    const changes = "cd /root && busybox ln secret twin && busybox chmod 4711 set-id && " +
      "busybox chmod 750 .";
    await bed.succeed(["start", "-w", "first", "sh", "-c", changes]);
    await bed.succeed(["export", "-o", "image.sqsh", "first"]);
    await Deno.remove(`${bed.work}/layout`, { recursive: true });

    const image = `${bed.work}/image.sqsh`;
    const bytesBefore = await Deno.readFile(image);

    for (const [overlay, native] of Object.entries(overlays)) {
      const env = { ENROOT_NATIVE_OVERLAYFS: native };

      for (const options of [[], ["-r"], ["-w"], ["-r", "-w", "--ipc", "--uts"], ["--pid"]]) {
        const shown = options.join(" ");
        await t.step(`on ${overlay} it is the same as start NAME ${shown}`, async () => {
          // What others have written in it is there in the container, and not in the image.
          await bed.succeed(["create", "-f", "-n", "box", "image.sqsh"]);
          const seen = async (what: string, text: string): Promise<string> => {
            const argv = ["start", ...options, what, "busybox", "sh", "-c", text, "name", "a b"];
            const { code, stdout, stderr } = await bed.enroot(argv, { env });
            assertEquals([code, stderr], [0, ""]);
            return stdout;
          };
          // An applet that the image has no link for is found all the same.
          const text = `busybox ln -s /bin/busybox /tmp/x; export PATH=/bin:/tmp/applets;
            busybox mkdir /tmp/applets; busybox --install -s /tmp/applets; ${portrait}`;
          const [container, started] = [await seen("box", text), await seen(image, text)];
          assertStringIncludes(container, "hidden");
          assertEquals(comparable(started), comparable(container));
          const list = "cat /proc/self/mountinfo";
          assertEquals(mountsOf(await seen(image, list)), mountsOf(await seen("box", list)));
        });
      }

      await t.step(`on ${overlay} what is written goes nowhere`, async () => {
        const write = "echo x > /new && echo y > /root/secret && cat /new /root/secret";
        const argv = ["start", "-w", image, "sh", "-c"];
        assertEquals(await bed.succeed([...argv, write], { env }), "x\ny\n");
        const look = "cat /new 2> /dev/null; cat /root/secret";
        assertEquals(await bed.succeed([...argv, look], { env }), "hidden");
        const closed = await bed.enroot(["start", image, "sh", "-c", "echo x > /new"], { env });
        assertStringIncludes(closed.stderr, "Read-only file system");
        assertEquals(await Deno.readFile(image), bytesBefore);
        await nothingLeft(bed);
      });

      await t.step(`on ${overlay} a folder of the image can be replaced`, async () => {
        const text = "rm -r /root && mkdir /root && ls -A /root && rm /bin/own && ls /bin/own";
        const { stdout, stderr } = await bed.enroot(["start", "-w", image, "sh", "-c", text], {
          env,
        });
        assertEquals([stdout, stderr], ["", "ls: /bin/own: No such file or directory\n"]);
      });

      await t.step(`on ${overlay} it ends as its command does, with its process ID`, async () => {
        const child = bed.start([bed.executable, "start", image, "sh", "-c", "echo $$"], { env });
        const { stdout } = await child.output();
        assertEquals(new TextDecoder().decode(stdout), `${child.pid}\n`);
        for (const [text, end] of [["exit 7", 7], ["kill -TERM $$", "SIGTERM"]] as const) {
          const { code, signal } = await bed.enroot(["start", image, "sh", "-c", text], { env });
          assertEquals(signal ?? code, end);
        }
        await nothingLeft(bed);
      });

      await t.step(`on ${overlay} what it leaves running keeps it`, async () => {
        const later = "(sleep 0.5; cat /root/secret > /tmp/x; cat /tmp/x >&3) 3>&1 > /dev/null &";
        const argv = ["start", ...marked(bed), image, "sh", "-c", later];
        assertEquals(await bed.succeed(argv, { env }), "hidden");
        await nothingLeft(bed);
      });

      await t.step(`on ${overlay} exec joins it, and cannot look out of it`, async () => {
        const argv = ["start", "-r", ...marked(bed), image, "sh", "-c", "echo up; read x"];
        const child = bed.start([bed.executable, ...argv], { env, stdin: "piped" });
        await using end = new AsyncDisposableStack();
        end.defer(() => child.stdin.close());
        const reader = child.stdout.getReader();
        await reader.read();
        const exec = ["exec", String(child.pid), "cat", "/root/secret"];
        assertEquals(await bed.succeed(exec), "hidden");
        // What serves the files sees the host's: root of the container must not get hold of it.
        const servers = processesOf(bed).filter(({ pid }) => pid !== child.pid);
        assert(servers.some(({ comm }) => comm.startsWith("squashfuse")), JSON.stringify(servers));
        for (const { pid, comm } of servers) {
          const look = `ls /proc/${pid}/root/ || ls /proc/${pid}/cwd/ || cat /proc/${pid}/environ ||
            busybox nsenter -t ${pid} -m true || busybox nsenter -t ${pid} -U true`;
          const { code, stdout } = await bed.enroot([
            ...["exec", String(child.pid), "sh", "-c", look],
          ]);
          assertEquals([code === 0, stdout], [false, ""], comm);
        }
        await end.disposeAsync();
        assertEquals((await child.status).code, 1);
        await reader.cancel();
        await child.stderr.cancel();
        await nothingLeft(bed);
      });

      await t.step(`on ${overlay} a start that fails leaves nothing`, async () => {
        const bad = [["--rc", "/none"], ["-m", "/none:/none:none:bind"]];
        for (const options of bad) {
          const { code, stderr } = await bed.enroot(["start", ...options, image], { env });
          assertEquals(code, 1);
          assertMatch(stderr, /^\[ERROR\] .*\/none/);
        }
        const hook = `${bed.sysconf}/hooks.d/10-fail.sh`;
        await Deno.mkdir(`${bed.sysconf}/hooks.d`, { recursive: true });
        await Deno.writeTextFile(hook, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
        const { code, stderr } = await bed.enroot(["start", image, "true"], { env });
        await Deno.remove(`${bed.sysconf}/hooks.d`, { recursive: true });
        assertEquals(code, 1);
        assertMatch(
          stderr,
          /^\[ERROR\] cannot start: the hook .*10-fail.sh failed with exit code 3/,
        );
        await nothingLeft(bed);
      });

      await t.step(`on ${overlay} a damaged image is refused with what is wrong`, async () => {
        await Deno.writeFile(`${bed.work}/damaged.sqsh`, bytesBefore.subarray(0, 4096));
        await bed.own();
        const { code, stderr } = await bed.enroot(["start", "./damaged.sqsh", "true"], { env });
        assertEquals(code, 1);
        assertMatch(stderr, /^\[ERROR\] cannot mount the image: [^\n]*squash[^\n]*\n$/);
        await nothingLeft(bed);
      });

      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        await t.step(`on ${overlay} ${signal} while it is prepared leaves nothing`, async () => {
          await Deno.mkdir(`${bed.sysconf}/hooks.d`, { recursive: true });
          const hook = "#!/bin/sh\necho ready\nexec sleep 300\n";
          await Deno.writeTextFile(`${bed.sysconf}/hooks.d/10-slow.sh`, hook, { mode: 0o755 });
          const child = bed.start([bed.executable, "start", image, "true"], { env });
          const reader = child.stderr.getReader();
          await reader.read();
          assert(leftovers(bed).length >= 3);
          child.kill(signal);
          assertEquals((await child.status).signal, signal);
          await Deno.remove(`${bed.sysconf}/hooks.d`, { recursive: true });
          // A hook has its own life, as that of a shell has.
          for (const { pid, comm } of processesOf(bed)) {
            if (comm === "sleep") Deno.kill(pid, "SIGKILL");
          }
          await Promise.all([reader.cancel(), child.stdout.cancel()]);
          await nothingLeft(bed);
        });
      }
    }

    await t.step("without the programs it says at once what to install", async () => {
      const folder = `${bed.work}/programs`;
      await Deno.mkdir(folder);
      const env = { PATH: folder, ENROOT_NATIVE_OVERLAYFS: "n" };
      const start = () => bed.enroot(["start", image, "true"], { env });
      assertMatch((await start()).stderr, /the program 'squashfuse' is not installed: install sq/m);
      await Deno.symlink("/usr/bin/squashfuse", `${folder}/squashfuse`);
      assertMatch((await start()).stderr, /'fuse-overlayfs' is not installed: install fuse-over/m);
    });

    await t.step("a pointer, and what is no image, are refused", async () => {
      const key = "a".repeat(64);
      const lines = ["enroot-zfs-image:v1", `image-config-sha256=${key}`, "arch=amd64"];
      const more = ["uri=docker://a/b:c", "imported=2026-04-29T18:23:11Z", ""];
      await Deno.writeTextFile(`${bed.work}/pointer.sqsh`, [...lines, ...more].join("\n"));
      await Deno.writeTextFile(`${bed.work}/text.sqsh`, "text");
      await bed.own();
      const start = async (file: string): Promise<string> =>
        (await bed.enroot(["start", file, "true"])).stderr;
      assertStringIncludes(
        await start("./pointer.sqsh"),
        "is a pointer to an image in a ZFS store",
      );
      assertStringIncludes(
        await start("./text.sqsh"),
        "neither a squashfs file nor a pointer file",
      );
    });
  });
}

/** Without what differs from one process to the next. */
function comparable(text: string): string {
  return text.replaceAll(/^\/ [0-9a-f]+ (\d+ \d+) \d+ \d+$/gm, "/ $1");
}
