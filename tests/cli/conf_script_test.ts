import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

for (const user of users) {
  Deno.test(`configuration scripts, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    await Deno.mkdir(`${bed.sysconf}/hooks.d`);
    await box.configure("system", "environ.d/10.env", "ORDER=file\nFILE=1\n");

    await t.step("its functions give environment, mounts, hooks and the command", async () => {
      const conf = await box.file(
        "a 'conf' $(id)",
        `helper() { echo "helped $1"; }
        environ() { echo "ORDER=script"; echo "SCRIPT=$(helper "$*")"; echo "OPTION=script"; }
        mounts() {
            echo "tmpfs /mnt/a tmpfs x-create=dir 0 1"
            echo "\${PWD} /mnt/work none x-create=dir,bind,ro"
        }
        hooks() {
            grep -E '^(ORDER|OPTION)=' "$ENROOT_ENVIRON"
            helper "hook of $ENROOT_PID" > "$ENROOT_WORKDIR/f"
            echo "HOOK=$(cat "$ENROOT_WORKDIR/f")" >> "$ENROOT_ENVIRON"
        }
        rc() {
            echo "rc $# $1|$ORDER|$FILE|$SCRIPT|$OPTION"
            echo "$HOOK" | { read -r a b c pid; [ "$pid" = $$ ] && echo "$a $b $c"; }
            grep -oE ' /mnt/(a|work) ' /proc/mounts
        }`,
      );
      const args = ["start", "-c", conf, "-e", "OPTION=user", "box", "a b", "c"];
      const { code, stdout, stderr } = await bed.enroot(args);
      assertEquals([code, stdout.split("\n")], [0, [
        "rc 2 a b|script|1|helped a b c|user",
        "helped hook of",
        " /mnt/work ",
        " /mnt/a ",
        "",
      ]], stderr);
      assertEquals(stderr, "ORDER=script\nOPTION=user\n");
    });

    await t.step("it can be a pipe, or any descriptor", async () => {
      const conf = await box.file("conf", "environ() { echo A=piped; }\n");
      for (
        const given of [
          'start --conf <(cat "$2") box',
          'start --conf=/proc/self/fd/7 box 7< "$2"',
          'start -c /dev/stdin box < "$2"',
        ]
      ) {
        const text = `"$1" ${given.replace("box", "box sh -c 'echo $A'")}`;
        const { stdout, stderr } = await bed.run([
          "bash",
          "-c",
          text,
          "bash",
          bed.executable,
          conf,
        ]);
        assertEquals(stdout, "piped\n", `${given}: ${stderr}`);
      }
    });

    await t.step("its #ENROOT_ lines configure this start, over the environment", async () => {
      const conf = await box.file(
        "conf",
        '#!/bin/bash\n#ENROOT_ROOTFS_WRITABLE=y\n#ENROOT_REMAP_ROOT="${TRUTH}"\n' +
          "## ENROOT_DATA_PATH=/nonexistent\n#ENROOT_ is a prefix\n #ENROOT_DATA_PATH=/nonexistent\n" +
          'environ() { echo "SEEN=$ENROOT_REMAP_ROOT$ENROOT_ROOTFS_WRITABLE"; }\n',
      );
      const text = "id -u; echo $SEEN; : > /written && echo writable";
      const env = { TRUTH: "yes", ENROOT_ROOTFS_WRITABLE: "n" };
      const { stdout, stderr } = await bed.enroot(["start", "-c", conf, "box", "sh", "-c", text], {
        env,
      });
      assertEquals(stdout, "0\nyesyes\nwritable\n", stderr);
      const bad = await box.file("bad", "\n#ENROOT_ROOTFS_WRITABLE=maybe\n");
      const failed = await bed.enroot(["start", "-c", bad, "box", "true"]);
      assertEquals(failed.code, 1);
      assertStringIncludes(failed.stderr, "ENROOT_ROOTFS_WRITABLE='maybe'");
    });

    await t.step("what environ passes on of the host is the host's", async () => {
      const conf = await box.file("conf", "environ() { env; }\n");
      const env = {
        PATH: "/usr/bin:/bin:/own",
        DENO_DIR: "d",
        TWO: "a\nb",
        "BASH_FUNC_rc%%": "() { :; }",
      };
      const text = 'echo "$PATH|$DENO_DIR|$HOME|$USER"; env | grep -c ENROOT_';
      const args = ["start", "-c", conf, "-e", "USER=me", "box", "sh", "-c", text];
      const { stdout, stderr } = await bed.enroot(args, { env });
      assertEquals(stdout, `/usr/bin:/bin:/own|d|${bed.home}|me\n0\n`, stderr);
    });

    await t.step("--rc wins over its rc, which wins over the container's", async () => {
      await Deno.writeTextFile(`${box.root}/etc/rc`, "echo container\n");
      const rc = await box.file("rc", "echo option\n");
      const conf = await box.file("conf", "rc() { echo script; }\n");
      const start = (...args: string[]): Promise<string> => bed.succeed(["start", ...args, "box"]);
      assertEquals(await start(), "container\n");
      assertEquals(await start("-c", conf), "script\n");
      assertEquals(await start("-c", conf, "--rc", rc), "option\n");
      assertEquals(await Deno.readTextFile(`${box.root}/etc/rc`), "echo container\n");
      await Deno.remove(`${box.root}/etc/rc`);
      assertEquals(await start("-c", conf), "script\n");
      // What was needed to mount it is no command of the container's.
      assertEquals(await bed.succeed(["start", "box", "echo", "x"]), "x\n");
    });

    const failures: [what: string, text: string, message: string][] = [
      [
        "a script that cannot be read",
        "environ() {\n    echo $((;\n}\n",
        "start: the configuration script PATH is no shell text: line 2: ",
      ],
      [
        "a script that fails",
        "false\n",
        "start: the configuration script PATH failed with exit code 1",
      ],
      [
        "environ",
        "environ() { echo A=1; exit 4; }\n",
        "environ of the configuration script PATH failed with exit code 4",
      ],
      [
        "mounts",
        "environ() { :; }\nmounts() { false; echo x; }\n",
        "mounts of the configuration script PATH failed with exit code 1",
      ],
      [
        "hooks",
        "hooks() { kill -TERM $$; }\n",
        "hooks of the configuration script PATH was ended by SIGTERM",
      ],
      ["a mount", "mounts() { echo /nothing /x none x-create=dir,bind; }\n", "mounts of PATH:1: "],
    ];
    for (const [what, text, message] of failures) {
      await t.step(`the failure of ${what} stops the start and is named`, async () => {
        const conf = await box.file("conf", text);
        const { code, stdout, stderr } = await bed.enroot([
          "start",
          "-c",
          conf,
          "box",
          "echo",
          "x",
        ]);
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, message.replace("PATH", conf));
      });
    }

    await t.step("one that is not there is named", async () => {
      const { code, stderr } = await bed.enroot(["start", "-c", "nothing", "box", "true"]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `cannot read ${bed.work}/nothing: `);
    });

    await t.step("batch starts what a script names, also as its interpreter", async () => {
      const text = (rootfs: string): string =>
        `#!${bed.executable} batch\n${rootfs}environ() { echo "A=$*"; }\n`;
      const conf = await box.file("job", text("#ENROOT_ROOTFS=box\n"));
      await Deno.chmod(conf, 0o755);
      const words = ["sh", "-c", 'echo "$0 $1 $A"', "x y", "z"];
      const expected = `x y z ${words.join(" ")}\n`;
      assertEquals(await bed.succeed(["batch", conf, ...words]), expected);
      const itself = await bed.run([conf, ...words]);
      assertEquals([itself.stdout, itself.code], [expected, 0], itself.stderr);
      const none = await box.file("none", text(""));
      const failed = await bed.enroot(["batch", none]);
      assertEquals(failed.code, 1);
      assertStringIncludes(failed.stderr, "#ENROOT_ROOTFS=NAME");
      assertMatch((await bed.enroot(["batch"])).stderr, /Usage: enroot batch/);
    });
  });
}
