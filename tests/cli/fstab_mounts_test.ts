import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

/** A line, and what the container then says to a question. */
type Row = readonly [line: string, ask: string, answer: RegExp | string];

const options = (target: string): string => `grep ' ${target} ' /proc/self/mountinfo | tail -n 1`;

/** WORK stands for the working folder outside. */
const rows: Row[] = [
  ["tmpfs:/m:tmpfs:x-create=dir,size=1m,mode=700", options("/m"), / tmpfs rw,size=1024k,mode=700/],
  ["tmpfs:/m", options("/m"), / \/m rw,relatime /],
  ["tmpfs:/m:tmpfs:x-create=dir,ro", options("/m"), / \/m ro,relatime /],
  ["tmpfs:/m:tmpfs:x-create=dir,nosuid,nodev,noexec", options("/m"), / \/m rw,nosuid,nodev,noexec/],
  ["tmpfs:/m:tmpfs:x-create=dir,noatime", options("/m"), / \/m rw,noatime /],
  ["tmpfs:/m:tmpfs:x-create=dir,nodiratime", options("/m"), / \/m rw,nodiratime,relatime /],
  ["tmpfs:/m:tmpfs:x-create=dir,strictatime", options("/m"), / \/m rw /],
  ["WORK/d:/m", "cat /m/f", "outside\n"],
  ["WORK/d:/m:none:x-create=dir,bind", "cat /m/f; ls /m/sub", "outside\n"],
  ["WORK/d:/m:x-create=auto,bind", "cat /m/f", "outside\n"],
  ["WORK/d/f:/m/file:none:x-create=auto,bind", "cat /m/file", "outside\n"],
  ["WORK/d/f:/m/file:none:x-create=file,bind", "cat /m/file", "outside\n"],
  ["WORK/d:/m:none:x-create=dir,bind,ro", `${options("/m")} | cut -d' ' -f6`, /^ro,/],
  ["WORK/d:/m:none:x-create=dir,bind,rw", "echo x > /m/new && rm /m/new && echo ok", "ok\n"],
  ["WORK/d:/m:none:x-create=dir,bind,nosuid,nodev,noexec", options("/m"), /,nosuid,nodev,noexec/],
  ["WORK/d:/m:none:x-create=dir,bind,rslave", options("/m"), / \/m [^-]*- /],
  ["WORK/d:/m:none:x-create=dir,rbind,private", options("/m"), / \/m [^ ]+ - /],
  ["WORK/d:/m:none:x-create=dir,bind,unbindable", options("/m"), / unbindable - /],
  ["WORK/d:/m:none:x-create=dir,bind,shared", options("/m"), / shared:\d+/],
  ["WORK/d:m:none:x-create=dir,bind", "cat /m/f", "outside\n"],
  ["./d:/m:none:x-create=dir,bind", "cat /m/f", "outside\n"],
  ["${LENT}:/m:none:x-create=dir,bind", "cat /m/f", "outside\n"],
  ["WORK/a\\040b:/m\\040m:none:x-create=dir,bind", "cat '/m m/g'", "space\n"],
  ["WORK/a b:/m m:none:x-create=dir,bind", "cat '/m m/g'", "space\n"],
  ["WORK/a b:/m", "cat /m/g", "space\n"],
  ["WORK/d /m none x-create=dir,bind", "cat /m/f", "outside\n"],
  [
    "WORK/d:/m:none:x-create=dir,bind,x-systemd.automount,_netdev,noauto,user",
    "cat /m/f",
    "outside\n",
  ],
  ["WORK/none:/m:none:x-create=dir,bind,nofail,silent", "echo without", "without\n"],
  ["${ENROOT_ROOTFS}/etc:/m:none:x-create=dir,bind", "grep -c root /m/passwd", "1\n"],
  // Where the image's links lead, and never out of the root.
  ["WORK/d:/link:none:bind", "cat /real/f", "outside\n"],
  ["WORK/d:/dangling:none:x-create=dir,bind", "cat /made/by/link/f", "outside\n"],
  ["WORK/d:/climbing:none:bind", "cat /real/f", "outside\n"],
  ["WORK/d:/to-host:none:x-create=dir,bind", "cat /WORK/d/f", "outside\n"],
  ["WORK/d:/../../m:none:x-create=dir,bind", "cat /m/f", "outside\n"],
  ["WORK/d/f:/file-link:none:bind", "cat /real-file", "outside\n"],
];

const failures: [line: string, message: string][] = [
  ["WORK/none:/etc", "cannot mount WORK/none on /etc: there is no WORK/none\n"],
  ["WORK/none:/m:none:x-create=dir,bind", "on /m: there is no WORK/none\n"],
  ["WORK/none:/etc:none:x-move", "on /etc: there is no WORK/none\n"],
  ["WORK/d/f/x:/etc:bind", "cannot mount WORK/d/f/x on /etc: WORK/d/f/x: Not a directory"],
  [
    "WORK/d:/not-there:none:bind",
    "cannot mount WORK/d on /not-there: there is no /not-there in the container: the option " +
    "x-create=dir or x-create=file makes it\n",
  ],
  ["WORK/d:/not-there:none:x-detach", "there is no /not-there in the container\n"],
  ["WORK/d:/loop:none:bind,x-create=dir", "cannot mount WORK/d on /loop: "],
  ["WORK/d:/etc/passwd/x:none:bind,x-create=dir", "cannot mount WORK/d on /etc/passwd/x: "],
  ["nosuchfs:/m:nosuchfs:x-create=dir", "cannot mount nosuchfs on /m: "],
  ["tmpfs:/m:tmpfs:x-create=dir,bogus=1", "cannot mount tmpfs on /m: "],
  ["one", "a mount needs a source and a target"],
  // The whole of it would show what the host has covered.
  ["/:/m:none:x-create=dir,bind", "where something is mounted below it, use rbind"],
];

for (const user of users) {
  Deno.test(`lines of fstab, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    const { work } = bed;
    await Deno.mkdir(`${bed.sysconf}/hooks.d`);
    await Deno.mkdir(`${work}/d/sub`, { recursive: true });
    await Deno.mkdir(`${work}/a b`);
    await Deno.writeTextFile(`${work}/d/f`, "outside\n");
    await Deno.writeTextFile(`${work}/a b/g`, "space\n");
    await Deno.mkdir(`${box.root}/real`);
    await Deno.writeTextFile(`${box.root}/real-file`, "inside\n");
    const links = {
      link: "real",
      dangling: "/made/by/link",
      climbing: "../../../../../../../../../real",
      "to-host": `${work}/d`,
      "file-link": "/../real-file",
      loop: "loop",
    };
    for (const [name, target] of Object.entries(links)) {
      await Deno.symlink(target, `${box.root}/${name}`);
    }
    await bed.own();
    const filled = (text: string): string =>
      text.replaceAll("/WORK", work).replaceAll("WORK", work);
    const env = { LENT: `${work}/d` };
    const hostFiles = await Deno.readTextFile(`${work}/d/f`);

    for (const [line, ask, answer] of rows) {
      await t.step(`${line} makes what it says`, async () => {
        const { code, stdout, stderr } = await bed.enroot(
          ["start", "-m", filled(line), "box", "sh", "-c", filled(ask)],
          { env },
        );
        assertEquals([code, stderr], [0, ""]);
        if (typeof answer === "string") assertEquals(stdout, answer);
        else assertMatch(stdout, answer);
      });
    }
    for (const [line, message] of failures) {
      await t.step(`${line} stops the start and is named`, async () => {
        const { code, stdout, stderr } = await bed.enroot(
          ["start", "-m", filled(line), "box", "echo", "started"],
        );
        assertEquals([code, stdout], [1, ""]);
        assertStringIncludes(stderr, filled(message));
      });
    }

    await t.step("nofail without silent says what is done without", async () => {
      const line = filled("WORK/none:/m:none:x-create=dir,bind,nofail");
      const { code, stdout, stderr } = await bed.enroot(["start", "-m", line, "box", "echo", "x"]);
      assertEquals([code, stdout], [0, "x\n"]);
      assertMatch(stderr, /^\[WARN\] .* going on without it\n$/);
    });

    await t.step("x-detach takes a mount away, x-move puts it elsewhere", async () => {
      const made = "tmpfs:/m:tmpfs:x-create=dir,size=3m";
      const count = "grep -c ' /m ' /proc/mounts; grep -c ' /n ' /proc/mounts; true";
      const run = (line: string): Promise<string> =>
        bed.succeed(["start", "-m", made, "-m", line, "box", "sh", "-c", count]);
      assertEquals(await run("none:/m:none:x-detach"), "0\n0\n");
      assertEquals(await run("${ENROOT_ROOTFS}/m:/n:none:x-create=dir,x-move"), "0\n1\n");
    });

    await t.step(
      "files of the system and the user come by name, the user's over the system's",
      async () => {
        const line = (name: string): string => `tmpfs /m/${name} tmpfs x-create=dir\n`;
        const proc = "/proc /proc rbind\n";
        await box.configure("system", "mounts.d/10.fstab", `${proc}${line("system-10")}`);
        await box.configure("system", "mounts.d/30.fstab", line("system-30"));
        await box.configure("system", "mounts.d/40.conf", line("of-another-ending"));
        await box.configure("user", "mounts.d/20.fstab", line("user-20"));
        await box.configure("user", "mounts.d/30.fstab", line("user-30"));
        const out = await box.succeed("grep -o '/m/[^ ]*' /proc/mounts");
        assertEquals(out, "/m/system-10\n/m/user-20\n/m/user-30\n");
        await box.configure("system", "environ.d/10.env", "A=system\nB=${A}${LENT}\n");
        await box.configure("user", "environ.d/20.env", "A=user\n");
        assertEquals(
          await bed.succeed(["start", "box", "sh", "-c", 'echo "$A $B"'], { env }),
          `user ${work}/d\n`,
        );
        await box.unconfigure();
      },
    );

    await t.step("nothing of it was done to the host", async () => {
      assertEquals(await Deno.readTextFile(`${work}/d/f`), hostFiles);
      assertEquals((await Deno.readTextFile("/proc/self/mounts")).includes(work), false);
    });
  });
}
