import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

for (const user of users) {
  Deno.test(`hooks, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    /** A step with hooks of its own; without any, `hooks.d` of the system is there and empty. */
    const step = (name: string, body: () => Promise<void>): Promise<boolean> =>
      t.step(name, async () => {
        await box.unconfigure();
        await Deno.mkdir(`${bed.sysconf}/hooks.d`);
        await body();
      });

    await step(
      "those of system and user run by name, a user's in the place of the system's",
      async () => {
        const hook = (text: string): string => `#!/bin/sh\necho ${text}\n`;
        await box.configure("system", "hooks.d/20-b.sh", hook("system b"));
        await box.configure("system", "hooks.d/10-a.sh", hook("system a"));
        await box.configure("system", "hooks.d/40-off.sh", hook("switched off"));
        await box.configure("system", "hooks.d/50-text.sh", hook("not executable"), 0o644);
        await box.configure("system", "hooks.d/60-other", hook("of another ending"));
        await box.configure("user", "hooks.d/20-b.sh", hook("user b"));
        await box.configure("user", "hooks.d/15-c.sh", hook("user c"));
        await box.configure("user", "hooks.d/40-off.sh", "", 0o644);
        const { code, stdout, stderr } = await box.sh("echo started");
        assertEquals([code, stdout, stderr], [0, "started\n", "system a\nuser c\nuser b\n"]);
      },
    );

    await step("a hook has the host's environment and what enroot says of the start", async () => {
      await box.configure(
        "system",
        "hooks.d/10-env.sh",
        `#!/bin/sh
        for name in ENROOT_PID ENROOT_ROOTFS ENROOT_ENVIRON ENROOT_MOUNTS ENROOT_WORKDIR \\
            ENROOT_LIBRARY_PATH ENROOT_SYSCONF_PATH ENROOT_DATA_PATH ENROOT_RUNTIME_PATH \\
            ENROOT_REMAP_ROOT ENROOT_ROOTFS_WRITABLE ENROOT_UNSHARE_IPC ENROOT_MOUNT_HOME HOME \\
            DENO_DIR NODE_OPTIONS OWN ENROOT_CALLER_STATE ENROOT_OWN; do
            eval "echo $name=\\\${$name-unset}"
        done
        echo "\${PATH#*:}"; pwd; cat
        cat "$ENROOT_ROOTFS/etc/passwd"
        test -d "$ENROOT_WORKDIR" && test -w "$ENROOT_WORKDIR" && test -r "$ENROOT_LIBRARY_PATH/common.sh"
        `,
      );
      const env = {
        OWN: "mine",
        DENO_DIR: "theirs",
        NODE_OPTIONS: "--bogus",
        ENROOT_OWN: "o",
        ENROOT_MOUNT_HOME: "n",
      };
      const child = bed.start(
        [bed.executable, "start", "-r", "--ipc", "box", "sh", "-c", "true"],
        { env },
      );
      const { stderr, success } = await child.output();
      const said = new TextDecoder().decode(stderr);
      assertEquals(success, true, said);
      const run = `${bed.runtime}/enroot`;
      const [library, ...lines] = said.split("\n").toSorted((a) =>
        a.startsWith("ENROOT_LIBRARY_PATH=/") ? -1 : 0
      );
      assertMatch(library ?? "", /^ENROOT_LIBRARY_PATH=\/.*\/lib$/);
      assertEquals(lines, [
        `ENROOT_PID=${child.pid}`,
        `ENROOT_ROOTFS=${box.root}`,
        `ENROOT_ENVIRON=${run}/environment`,
        `ENROOT_MOUNTS=${run}/fstab`,
        `ENROOT_WORKDIR=${run}/workdir`,
        `ENROOT_SYSCONF_PATH=${bed.sysconf}`,
        `ENROOT_DATA_PATH=${bed.data}`,
        `ENROOT_RUNTIME_PATH=${run}`,
        "ENROOT_REMAP_ROOT=yes",
        "ENROOT_ROOTFS_WRITABLE=unset",
        "ENROOT_UNSHARE_IPC=yes",
        "ENROOT_MOUNT_HOME=unset",
        `HOME=${bed.home}`,
        "DENO_DIR=theirs",
        "NODE_OPTIONS=--bogus",
        "OWN=mine",
        "ENROOT_CALLER_STATE=unset",
        "ENROOT_OWN=o",
        "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        bed.work,
        "root:x:0:0:root:/root:/bin/sh",
        "",
      ]);
    });

    await step("a hook that waits for variables is run only with one of them", async () => {
      const script = "#!/bin/sh\n# enroot-when: constructor WANTED\necho ran\n";
      await box.configure("system", "hooks.d/10-when.sh", script);
      for (const [value, said] of [["", ""], ["y", "ran\n"]] as const) {
        const { code, stderr } = await bed.enroot(["start", "box", "true"], {
          env: { WANTED: value },
        });
        assertEquals([code, stderr], [0, said]);
      }
    });

    await step("a hook takes nothing of the command's input and output", async () => {
      await box.configure("system", "hooks.d/10-io.sh", "#!/bin/sh\ncat; echo said\n");
      const run = await bed.enroot(["start", "box", "cat"], { input: "for the command\n" });
      assertEquals([run.stdout, run.stderr], ["for the command\n", "said\n"]);
    });

    await step("a hook has the caller's descriptors and none of enroot's", async () => {
      const script = "#!/bin/sh\nfor fd in /proc/self/fd/*; do echo ${fd##*/}; done\n";
      await box.configure("system", "hooks.d/10-fds.sh", script);
      const open = ["bash", "-c", 'exec 5< /dev/null 7> "$1/seven"; shift; exec "$@"', "bash"];
      const plain = await bed.run([...open, bed.work, `${bed.sysconf}/hooks.d/10-fds.sh`]);
      const hook = await bed.run([...open, bed.work, bed.executable, "start", "box", "true"]);
      assertEquals(hook.stderr, plain.stdout);
      assertMatch(plain.stdout, /^5\n7$/m);
    });

    await step(
      "what hooks do to ENROOT_ENVIRON is in the environment, and read by the next",
      async () => {
        await box.configure(
          "system",
          "environ.d/10.env",
          "FILE=1\nGONE=1\nCHANGED=1\nKEPT=${NONE}$x\n",
        );
        await box.configure(
          "system",
          "hooks.d/10-a.sh",
          `#!/bin/bash
        echo "ADDED='a b'" >> "$ENROOT_ENVIRON"
        echo "OPTION=hook" >> "$ENROOT_ENVIRON"
        echo "FROM_HOST=\\\${OWN}" >> "$ENROOT_ENVIRON"
        echo "ENROOT_EVIL=1" >> "$ENROOT_ENVIRON"
        sed -i '/^GONE=/d; s/^CHANGED=.*/CHANGED=2/' "$ENROOT_ENVIRON"
        `,
        );
        await box.configure(
          "system",
          "hooks.d/20-b.sh",
          '#!/bin/sh\ngrep -E "^(OPTION|ADDED|FILE|LITERAL)=" "$ENROOT_ENVIRON"\n',
        );
        const options = ["-e", "OPTION=user", "-e", "LINES=a\nb", "-e", "LITERAL=${OWN} 'x'"];
        const names = "FILE|GONE|CHANGED|KEPT|ADDED|OPTION|FROM_HOST|LINES|LITERAL|ENROOT_[A-Z]*";
        const { stdout, stderr, code } = await bed.enroot(
          ["start", ...options, "box", "sh", "-c", `env | grep -E '^(${names})=|^b$' | sort`],
          { env: { OWN: "host" } },
        );
        assertEquals([code, stdout.trim().split("\n")], [
          0,
          [
            ...["ADDED=a b", "CHANGED=2", "FILE=1", "FROM_HOST=host", "KEPT=$x"],
            ...["LINES=a", "LITERAL=${OWN} 'x'", "OPTION=hook", "b"],
          ].sort(),
        ]);
        assertEquals(
          stderr.trim().split("\n").sort(),
          [
            ...["ADDED='a b'", "FILE=1", "LITERAL=${ENROOT_DOLLAR}{OWN} 'x'"],
            ...["OPTION=hook", "OPTION=user"],
          ].sort(),
        );
      },
    );

    await step("what hooks add to ENROOT_MOUNTS is mounted in the order of passes", async () => {
      await box.configure(
        "system",
        "mounts.d/10.fstab",
        ["/proc /proc rbind 0 -1", "tmpfs /mnt tmpfs x-create=dir,size=1m 0 -1"].join("\n") +
          "\ntmpfs /mnt/file tmpfs x-create=dir,size=2m 0 0\n",
      );
      const line = (text: string): string => `echo "${text}" >> "$ENROOT_MOUNTS"\n`;
      await box.configure(
        "system",
        "hooks.d/10-a.sh",
        `#!/bin/sh
        # What comes before the hooks is there.
        grep -c "$ENROOT_ROOTFS/mnt tmpfs" /proc/self/mounts
        ${line("tmpfs /mnt/late tmpfs x-create=dir,size=5m 0 5")}
        ${line("tmpfs /mnt/hook tmpfs x-create=dir,size=3m")}
        mkdir "$ENROOT_WORKDIR/lent"; echo lent > "$ENROOT_WORKDIR/lent/file"
        ${line("\\${ENROOT_WORKDIR}/lent /mnt/late/lent none x-create=dir,bind,ro 0 6")}
        `,
      );
      const { stdout, stderr, code } = await box.sh(
        "cat /mnt/late/lent/file; grep -oE ' /mnt[^ ]*' /proc/mounts",
        ["-m", "tmpfs:/mnt/option:tmpfs:x-create=dir"],
      );
      const order = ["", "/hook", "/file", "/option", "/late", "/late/lent"];
      const expected = `lent\n${order.map((name) => ` /mnt${name}\n`).join("")}`;
      assertEquals([code, stdout, stderr], [0, expected, "1\n"]);
    });

    const failures: [name: string, text: string, message: string][] = [
      ["an exit code", "#!/bin/sh\necho why >&2\nexit 3\n", "failed with exit code 3"],
      ["a signal", "#!/bin/sh\nkill -KILL $$\n", "was ended by SIGKILL"],
      ["no interpreter", "#!/nonexistent/sh\n", "cannot be run: "],
      ["no first line", "exit 0\n", "cannot be run: "],
    ];
    for (const [name, text, message] of failures) {
      await step(`a hook that fails by ${name} stops the start and is named`, async () => {
        await box.configure("system", "hooks.d/10-bad.sh", text);
        await box.configure("system", "hooks.d/20-next.sh", "#!/bin/sh\necho next >&2\n");
        const before = await bed.contents();
        const { code, stdout, stderr } = await box.sh("echo started");
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, `the hook ${bed.sysconf}/hooks.d/10-bad.sh ${message}`);
        assertEquals(stderr.includes("next"), false);
        assertEquals(await bed.contents(), before);
        assertEquals(await Array.fromAsync(Deno.readDir(`${bed.runtime}/enroot`)), []);
      });
    }

    await step("lines that cannot be read, and files that are gone, are named", async () => {
      for (
        const [text, message] of [
          ['echo "one-field" >> "$ENROOT_MOUNTS"', "ENROOT_MOUNTS of the hooks:1: "],
          ['rm "$ENROOT_MOUNTS"', "what the hooks left cannot be read"],
          ['rm "$ENROOT_ENVIRON"', "what the hooks left cannot be read"],
        ] as const
      ) {
        await box.configure("system", "hooks.d/10-bad.sh", `#!/bin/sh\n${text}\n`);
        const { code, stdout, stderr } = await box.sh("echo started");
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, message);
      }
    });

    await step("enroot-mount mounts inside the container, where its symlinks lead", async () => {
      // To a folder of the host, and out of the root.
      await Deno.symlink("/var/outside", `${box.root}/absolute`);
      await Deno.symlink("../../../../../../../../mnt2", `${box.root}/climbing`);
      await bed.own();
      await box.configure(
        "system",
        "hooks.d/10-a.sh",
        `#!/bin/bash
        set -e
        printf '%s\\n' "tmpfs /absolute tmpfs x-create=dir 0 2" "tmpfs /climbing tmpfs x-create=dir 0 1" |
            enroot-mount --root "$ENROOT_ROOTFS" -
        grep -oE "$ENROOT_ROOTFS[^ ]* tmpfs" /proc/self/mounts
        echo "tmpfs /one tmpfs x-create=dir" > "$ENROOT_WORKDIR/f"
        echo "tmpfs /two tmpfs x-create=dir 0 7" >> "$ENROOT_WORKDIR/f"
        enroot-mount --pass=7 --root="$ENROOT_ROOTFS" "$ENROOT_WORKDIR/f"
        ! enroot-mount --root "$ENROOT_ROOTFS" - <<< "/nonexistent /three none x-create=dir,bind"
        enroot-nsenter --help > /dev/null
        `,
      );
      const text = "grep -oE ' /(var/outside|mnt2|one|two|three) ' /proc/mounts";
      const { code, stdout, stderr } = await box.sh(text);
      assertEquals([code, stdout], [0, " /mnt2 \n /var/outside \n /two \n"], stderr);
      assertStringIncludes(stderr, `${box.root}/mnt2 tmpfs\n${box.root}/var/outside tmpfs\n`);
      assertStringIncludes(stderr, "[ERROR] standard input:1: cannot mount /nonexistent on /three");
      assertEquals(await Deno.stat("/var/outside").catch(() => "none"), "none");
    });

    await step("hooks of two starts of one container do not overlap", async () => {
      await box.configure(
        "system",
        "hooks.d/10-slow.sh",
        `#!/bin/sh\necho begin >> "${bed.work}/log"; sleep 0.4; echo end >> "${bed.work}/log"\n`,
      );
      const codes = await Promise.all([box.sh("true"), box.sh("true")]);
      assertEquals(codes.map(({ code }) => code), [0, 0]);
      assertEquals(await Deno.readTextFile(`${bed.work}/log`), "begin\nend\n".repeat(2));
    });

    await step("a signal ends a start in its hook, and nothing is left", async () => {
      const path = `${bed.work}/started`;
      await box.configure("system", "hooks.d/10-a.sh", `#!/bin/sh\n: > ${path}\nexec sleep 2\n`);
      const before = await bed.contents();
      const child = bed.start([bed.executable, "start", "box", "echo", "never"]);
      for (let tries = 0; tries < 200; tries++) {
        if (await Deno.stat(path).then(() => true, () => false)) break;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      await Deno.remove(path);
      child.kill("SIGTERM");
      const { signal, stdout } = await child.output();
      assertEquals([signal, stdout.length], ["SIGTERM", 0]);
      assertEquals(await bed.contents(), before);
      assertEquals((await box.sh("true")).code, 0);
    });
  });
}
