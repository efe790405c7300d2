import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, type RunOptions, users } from "../support/bed.ts";
import { attempt, end, type Result, run } from "../support/command.ts";
import { processesOf } from "../support/leftovers.ts";
import { makeScriptedImage } from "../support/scripted_image.ts";
import { type DescribeOptions, describeTree, type Entry } from "../support/tree.ts";

/** What a bundle may add to its image. */
const mostAdded = 45 * 2 ** 20;

/** Files of every kind that a plain user can have. */
const content = `
  mkdir -p root tmp proc sys dev var closed "$(printf 'odd\\nname')"
  echo hi > root/hello; ln root/hello root/twin; ln -s ../root/hello etc/link; mkfifo root/pipe
  truncate -s 5M root/holes; printf end | dd of=root/holes bs=1 seek=3M conv=notrunc 2> /dev/null
  : > root/empty; cp bin/busybox root/set-id; chmod 4755 root/set-id; chmod 2750 tmp
  long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long; echo deep > $long/$long/$long
  echo secret > closed/none; chmod 0 closed/none; chmod 500 closed
  setfattr -n user.note -v value root/hello
  touch -d '2001-02-03 04:05:06.789' root/hello; touch -h -d '2002-01-01' etc/link`;

/** A bundle in a bed. */
class Bundled implements AsyncDisposable {
  constructor(readonly bed: Bed, readonly path: string) {}

  static async make(bed: Bed): Promise<Bundled> {
    await makeScriptedImage(`${bed.work}/layout`, content);
    await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:x`]);
    return new Bundled(bed, `${bed.work}/box.run`);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.bed.run([this.path, ...args], options);
  }

  /** Run it, for what it prints. @throws {Error} unless it says nothing else and ends well */
  async succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(["-q", ...args], options);
    if (code === 0 && stderr === "") return stdout;
    throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await nothingLeft(this.bed);
  }
}

/** A container's tree as a bundle extracts it: its folder is closed to others, who could run what is set-id. */
async function closedTree(root: string, options: DescribeOptions): Promise<Entry[]> {
  const entries = await describeTree(root, options);
  return entries.map((entry) => entry.path === "." ? { ...entry, mode: "700" } : entry);
}

/** Wait until a bundle has left nothing. @throws {Error} after twenty seconds */
async function nothingLeft(bed: Bed): Promise<void> {
  let left: string[] = [];
  for (const until = performance.now() + 20_000; performance.now() < until;) {
    left = [bed.temp, bed.runtime].flatMap((folder) =>
      [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    ).filter((path) => path !== `${bed.runtime}/enroot`);
    if (left.length === 0 && processesOf(bed).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const processes = processesOf(bed).map(({ pid, comm }) => `${comm} (${pid})`);
  throw new Error(`there is still ${[...left, ...processes].join(", ")}`);
}

for (const user of users) {
  Deno.test(`bundle, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await using bundled = await Bundled.make(bed);

    await t.step("it says how much it adds to the image, and that is little", async () => {
      const { code, stderr } = await bed.enroot(["bundle", "-c", "-d", "a box", "box"]);
      assertEquals(code, 0, stderr);
      const { size } = await Deno.stat(bundled.path);
      assert(size < mostAdded, `${size} bytes`);
      assertMatch(stderr, /box\.run has [\d.]+ MiB: [\d.]+ \w+ for the image, and [\d.]+ MiB for/);
      const again = await bed.enroot(["bundle", "box"]);
      assertStringIncludes(again.stderr, "exists already");
      assertEquals([again.code, (await Deno.stat(bundled.path)).size], [1, size]);
    });

    await t.step("it is named by the container, a point in that one's name included", async () => {
      await bed.run(["cp", "-a", `${bed.data}/box`, `${bed.data}/app-1.2`]);
      await bed.succeed(["bundle", "app-1.2"]);
      assert((await Deno.stat(`${bed.work}/app-1.2.run`)).isFile);
      await bed.succeed(["remove", "-f", "app-1.2"]);
      await Deno.remove(`${bed.work}/app-1.2.run`);
    });

    await t.step("it says what is in it, and removes what a killed one has left", async () => {
      const left = `${bed.temp}/enroot-bundle.${bed.uid}.0123456789abcdef`;
      await bed.run(["mkdir", "-m", "700", left]);
      await bed.run(["mkdir", `${left}/rootfs`]);
      await bed.run(["touch", `${left}/lock`]);
      const text = await bundled.succeed(["--info"]);
      for (const line of [/^Image: +box$/m, /^Description: +a box$/m, /^Checksum: +yes$/m]) {
        assertMatch(text, line);
      }
      await nothingLeft(bed);
    });

    await t.step("it is extracted as the container is, to the last detail", async () => {
      await bundled.succeed(["--extract", "there"]);
      await bundled.succeed(["-x"]);
      const options = { nanoseconds: true, without: [".lock"] };
      const expected = await closedTree(`${bed.data}/box`, options);
      assert(expected.some(({ xattrs }) => xattrs?.includes("user.note")));
      assertEquals(await describeTree(`${bed.work}/there`, options), expected);
      assertEquals(await describeTree(`${bed.work}/box`, options), expected);
      const { blocks } = await Deno.stat(`${bed.work}/there/root/holes`);
      assert((blocks ?? 0) * 512 < 1 << 20, `${blocks} blocks`);
      const again = await bundled.run(["-x", "there"]);
      assertStringIncludes(again.stderr, "there exists already");
      assertEquals(again.code, 1);
      await run(["rm", "-rf", `${bed.work}/there`, `${bed.work}/box`]);
    });

    await t.step(
      "it ends as its command does, with its process ID, and leaves nothing",
      async () => {
        const argv = [bundled.path, "-q", "sh", "-c", "echo $$; ls /proc/self/fd; exit 7"];
        const child = bed.start(argv);
        const { code, stdout } = await child.output();
        // What this test has open itself is not the bundle's.
        const descriptors = (await bed.run(["ls", "/proc/self/fd"])).stdout;
        const said = `${child.pid}\n${descriptors}`;
        assertEquals([code, new TextDecoder().decode(stdout)], [7, said]);
        for (const signal of ["TERM", "KILL"] as const) {
          assertEquals(
            (await bundled.run(["sh", "-c", `kill -${signal} $$`])).signal,
            `SIG${signal}`,
          );
        }
        await nothingLeft(bed);
      },
    );

    await t.step(
      "a signal gets to the command, and what is left running keeps the files",
      async () => {
        const child = bed.start([
          bundled.path,
          "-q",
          "sh",
          "-c",
          "trap 'exit 9' TERM; echo on; while :; do sleep 0.1; done",
        ]);
        const reader = child.stdout.getReader();
        let said = "";
        while (!said.includes("on\n")) {
          said += new TextDecoder().decode((await reader.read()).value);
        }
        end(child, "SIGTERM");
        assertEquals((await child.status).code, 9);
        await Promise.all([reader.cancel(), child.stderr.cancel()]);
        const later = "(sleep 2; cat /root/hello >&3) 3>&1 > /dev/null &";
        assertEquals(await bundled.succeed(["--rc", "/dev/null", "sh", "-c", later]), "hi\n");
        await nothingLeft(bed);
      },
    );

    await t.step("a signal while it unpacks ends it, and leaves nothing", async () => {
      for (const signal of ["SIGINT", "SIGKILL"] as const) {
        const child = bed.start([bundled.path, "-k", "true"]);
        // From then on there is a watcher.
        while (!hasProgram(bed)) await new Promise((resolve) => setTimeout(resolve, 5));
        end(child, signal);
        const { signal: ended } = await child.output();
        assertEquals(ended, signal);
        await nothingLeft(bed);
        // What --keep was to keep is there whole or not at all, unless nothing could be done about it.
        await run(["rm", "-rf", `${bed.work}/box`]);
      }
    });

    await t.step("it has the options of a start", async () => {
      await Deno.writeTextFile(`${bed.work}/conf`, 'environ() { echo "FROM=conf"; }\n');
      await Deno.writeTextFile(`${bed.work}/rc`, 'echo "own rc"; exec "$@"\n');
      const text = "echo $FROM $GIVEN; id -u; cat /there/conf; touch /new && echo written";
      const options = [
        "--conf",
        "conf",
        "-e",
        "GIVEN=env",
        "-m",
        `${bed.work}:/there:none:bind,x-create=dir`,
      ];
      assertEquals(
        await bundled.succeed(["--rc", "rc", "-r", "-w", ...options, "sh", "-c", text]),
        'own rc\nconf env\n0\nenviron() { echo "FROM=conf"; }\nwritten\n',
      );
      const { code, stderr } = await bundled.run(["--nonsense"]);
      assertEquals(code, 1);
      assertMatch(stderr, /unknown option '--nonsense'\nUsage: box\.run \[OPTION\]/);
    });

    await t.step("--keep keeps what was started, in a folder by its name", async () => {
      await bundled.succeed(["-k", "-w", "sh", "-c", "echo x > /kept"]);
      assertEquals(await Deno.readTextFile(`${bed.work}/box/kept`), "x\n");
      const { code, stderr } = await bundled.run(["-k", "true"]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, "box exists already");
    });

    await t.step("a byte that was changed is found, in the program and in the image", async () => {
      const good = await Deno.readFile(bundled.path);
      for (
        const [place, said] of [[good.length / 2, "is damaged"], [
          200_000,
          "the data is damaged",
        ]] as const
      ) {
        const bad = good.slice();
        bad[place | 0] = (bad[place | 0] ?? 0) ^ 4;
        await Deno.writeFile(`${bed.work}/bad.run`, bad, { mode: 0o755 });
        await bed.own();
        const { code, stdout, stderr } = await bed.run([`${bed.work}/bad.run`, "echo", "started"]);
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, said);
        await nothingLeft(bed);
        await Deno.remove(`${bed.work}/bad.run`);
      }
    });

    await t.step("--verify names what the kernel does not give", async () => {
      const good = await bundled.run(["--verify"]);
      assertMatch(good.stdout, /^ok +kernel: Linux .*\nok +user namespaces: /);
      assertEquals(good.code, 0);
      const without = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" --verify';
      const bad = await bed.run(["unshare", "-Ur", "sh", "-c", without, bundled.path]);
      assertMatch(
        bad.stdout,
        /^fail +user namespaces: .*\n +→ run as root: sysctl -w user\.max_user/m,
      );
      assertEquals(bad.code, 1);
    });

    await t.step("it is started where there is only a busybox", async () => {
      const text = 'echo "in $(cat /root/hello)"; id -u; exit 5';
      const { code, stdout, stderr } = await inBusybox(bed, bundled.path, ["-q", "sh", "-c", text]);
      assertEquals([stderr, stdout, code], ["", `in hi\n${bed.uid}\n`, 5]);
    });

    await t.step("the user's own configuration is in it when it is asked for", async () => {
      const config = `${bed.home}/.config/enroot`;
      await Deno.mkdir(`${config}/environ.d`, { recursive: true });
      await Deno.mkdir(`${config}/hooks.d`);
      await Deno.writeTextFile(`${config}/environ.d/own.env`, "OWN=mine\n");
      const hook = '#!/bin/sh\necho HOOKED=yes >> "$ENROOT_ENVIRON"\n';
      await Deno.writeTextFile(`${config}/hooks.d/own.sh`, hook, { mode: 0o755 });
      await bed.own();
      const show = ["--rc", "/dev/null", "sh", "-c", 'echo "$OWN $HOOKED"'];
      assertEquals(await bundled.succeed(show), " \n");
      await bed.succeed(["bundle", "-o", "all.run", "--target", "elsewhere", "box"], {
        env: { ENROOT_BUNDLE_ALL: "y" },
      });
      await run(["rm", "-rf", config]);
      const all = new Bundled(bed, `${bed.work}/all.run`);
      assertEquals(await all.succeed(["-k", ...show]), "mine yes\n");
      assertMatch(
        await all.succeed(["-i"]),
        /^Target: +elsewhere\nChecksum: +no\nUser's files: +2$/m,
      );
      assert((await Deno.stat(`${bed.work}/elsewhere/root`)).isDirectory);
    });

    await t.step("an image file makes the same root filesystem as its container", async () => {
      await bed.succeed(["export", "-o", "image.sqsh", "box"]);
      await bed.succeed(["bundle", "-f", "-o", "image.run", "./image.sqsh"]);
      await new Bundled(bed, `${bed.work}/image.run`).succeed(["-x", "of-image"]);
      const options = { without: [".lock"] };
      assertEquals(
        await describeTree(`${bed.work}/of-image`, options),
        await closedTree(`${bed.data}/box`, options),
      );
      await nothingLeft(bed);
    });

    await t.step("what cannot be bundled is refused, and no file is left", async () => {
      await Deno.writeTextFile(`${bed.work}/notes`, "no image");
      for (
        const [operand, said] of [["absent", "absent"], ["./notes", "neither a squashfs"]] as const
      ) {
        const { code, stderr } = await bed.enroot(["bundle", "-o", "x.run", operand]);
        assertEquals(code, 1);
        assertStringIncludes(stderr, said);
      }
      await Deno.writeTextFile(`${bed.data}/box/.wh.odd`, "");
      await bed.own();
      const { code, stderr } = await bed.enroot(["bundle", "-o", "x.run", "box"]);
      assertEquals(code, 1);
      assertMatch(stderr, /cannot bundle \S+\.wh\.odd/);
      const names = [...Deno.readDirSync(bed.work)].map(({ name }) => name);
      assertEquals(names.filter((name) => /partial|^x\.run/.test(name)), []);
      await nothingLeft(bed);
    });
  });
}

/** Whether a bundle has begun to unpack its program. */
function hasProgram({ temp }: Bed): boolean {
  return [...Deno.readDirSync(temp)].some(({ name }) =>
    [...Deno.readDirSync(`${temp}/${name}`)].some((each) => each.name === "program")
  );
}

/** Run a bundle where the root holds a busybox, the bundle, the kernel's file systems and nothing else. */
async function inBusybox(bed: Bed, bundle: string, args: readonly string[]): Promise<Result> {
  const root = await Deno.makeTempDir({ prefix: "zenroot-busybox-root-" });
  try {
    for (const name of ["bin", "proc", "sys", "dev", "tmp", "old", "etc"]) {
      await Deno.mkdir(`${root}/${name}`);
    }
    await Deno.chmod(root, 0o755);
    await Deno.chmod(`${root}/tmp`, 0o1777);
    await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
    // Busybox becomes only whom it knows.
    await Deno.writeTextFile(`${root}/etc/passwd`, `user:x:${bed.uid}:${bed.uid}::/:/bin/sh\n`);
    await Deno.copyFile(bundle, `${root}/it.run`);
    for (const name of ["busybox", "../it.run"]) await Deno.chmod(`${root}/bin/${name}`, 0o755);
    const become = bed.uid === Deno.uid()
      ? "/it.run"
      : `start-stop-daemon -S -c ${bed.uid}:${bed.uid} -x /it.run --`;
    const script = `set -e; mount --bind "$0" "$0"; cd "$0"
      for name in proc sys dev; do mount --rbind /$name $name; done
      pivot_root . old; exec /bin/busybox sh -c '
        /bin/busybox --install -s /bin; cd /; umount -l /old; rmdir /old
        exec ${become} "$@"' sh "$@"`;
    const own = Deno.uid() === 0 ? [] : ["--user", "--map-current-user", "--keep-caps"];
    const result = await attempt(
      ["unshare", ...own, "--mount", "sh", "-c", script, root, ...args],
      { clearEnv: true, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
    );
    for (let tries = 0; tries < 200 && [...Deno.readDirSync(`${root}/tmp`)].length > 0; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assertEquals([...Deno.readDirSync(`${root}/tmp`)], []);
    return result;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
