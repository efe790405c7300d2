import { assertEquals, assertStringIncludes } from "@std/assert";
import { Bed, type RunOptions, users } from "../support/bed.ts";
import { Box } from "../support/box.ts";

/** Lines that files written for the enroot in bash have. */
const oldFile = [
  "ENROOT_RUNTIME_PATH        ${XDG_RUNTIME_DIR}/enroot",
  "ENROOT_CONFIG_PATH         ${XDG_CONFIG_HOME}/enroot",
  "ENROOT_CACHE_PATH          ${XDG_CACHE_HOME}/enroot",
  "ENROOT_DATA_PATH           ${XDG_DATA_HOME}/enroot",
  "ENROOT_TEMP_PATH           ~/tmp",
  "ENROOT_ROOTFS_WRITABLE     off",
  "",
].join("\n");

for (const user of users) {
  Deno.test(`a container starts with the configuration of an older enroot, as ${user}`, async (t) => {
    await using box = await Box.make(user);
    const { bed } = box;
    await Deno.mkdir(`${bed.home}/tmp`);
    await box.configure("system", "enroot.conf", oldFile);
    const runs: [name: string, options: RunOptions][] = [
      ["as it is", {}],
      ["without a runtime folder", { without: ["XDG_RUNTIME_DIR"] }],
      ["with the runtime folder of another host", {
        env: { XDG_RUNTIME_DIR: "/nonexistent/12345" },
      }],
      ["with a log level in capitals", { env: { ENROOT_LOG_LEVEL: "WARNING" } }],
    ];
    for (const [name, options] of runs) {
      await t.step(name, async () => {
        const words = ["sh", "-c", "echo here; (: > /written) 2> /dev/null || echo read-only"];
        const { stdout, stderr } = await bed.enroot(["start", "box", ...words], options);
        assertEquals([stdout, stderr], ["here\nread-only\n", ""]);
        assertEquals(await bed.succeed(["list"], options), "box\n");
        const info = await bed.succeed(["info"], options);
        for (const line of [`DATA_PATH=${bed.data}`, `TEMP_PATH=${bed.home}/tmp`]) {
          assertStringIncludes(info, `ENROOT_${line}\n`);
        }
      });
    }

    await t.step("settings of a script may have blanks behind # and the key", async () => {
      const conf = await box.file(
        "conf",
        "#!/bin/bash\n# ENROOT_ROOTFS box\n#ENROOT_ROOTFS_WRITABLE y\n#\tENROOT_REMAP_ROOT = on\n",
      );
      const text = "id -u; echo here > /written && cat /written";
      assertEquals(await bed.succeed(["batch", conf, "sh", "-c", text]), "0\nhere\n");
    });
  });
}

Deno.test("a path with a hole counts as none, and a warning says where and what to do", async () => {
  await using bed = await Bed.make("plain user");
  for (
    const text of ["ENROOT_CACHE_PATH /raid/$USER\n", "ENROOT_CACHE_PATH /raid/$USER/$(id -u)\n"]
  ) {
    await Deno.writeTextFile(`${bed.sysconf}/enroot.conf`, `# ours\n${text}`);
    const { code, stdout, stderr } = await bed.enroot(["info"]);
    assertEquals([code, stdout.includes("/raid")], [0, false]);
    assertStringIncludes(
      stderr,
      `[WARN] ${bed.sysconf}/enroot.conf:2: ENROOT_CACHE_PATH: '/raid/$USER`,
    );
    assertStringIncludes(stderr, "USER is not set, or empty: set it, or write ${USER:-VALUE}");
    const info = await bed.succeed(["info"], { env: { USER: "me" } });
    assertStringIncludes(info, "ENROOT_CACHE_PATH=/raid/me");
  }
});

Deno.test("a line of another program is warned of once, and the command goes on", async () => {
  await using bed = await Bed.make("plain user");
  const file = `${bed.sysconf}/enroot.conf`;
  await Deno.writeTextFile(file, "HTTP_PROXY http://me:secret@proxy\nENROOT_TEMP_PATH /t\n");
  const { code, stdout, stderr } = await bed.enroot(["info"]);
  assertEquals([code, stdout.includes("ENROOT_TEMP_PATH=/t\n")], [0, true], stderr);
  const warning =
    `[WARN] ${file}:1: 'HTTP_PROXY' is no key of enroot, so this line has no effect: ` +
    "write http_proxy\n";
  assertEquals(stderr, warning);
  assertEquals((await bed.enroot(["-q", "info"])).stderr, "");
  await Deno.writeTextFile(file, "HTTP_PROXY http://proxy\nENROOT_LOG_LEVEL error\n");
  assertEquals((await bed.enroot(["info"])).stderr, "");
});
