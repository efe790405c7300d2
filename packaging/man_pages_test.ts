import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { commands } from "../lib/commands/dispatch.ts";
import { attempt, run } from "../tests/support/command.ts";
import { manPages, writeManPages } from "./man_pages.ts";

const options = { date: "2026-01-31" };

Deno.test("there is a manual page for the program, each command and the configuration", async () => {
  const visible = Object.entries(commands).filter(([, { summary }]) => summary !== undefined);
  const names = ["enroot.1", ...visible.map(([name]) => `enroot-${name}.1`), "enroot.conf.5"];
  const pages = await manPages(options);
  assertEquals([...pages.keys()], names);
  assertEquals(await manPages(options), pages);
});

Deno.test("manual pages are rendered without a warning, by groff and by mandoc", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await writeManPages(folder, options);
    let pages = 0;
    for await (const { name } of Deno.readDir(folder)) {
      pages++;
      const path = `${folder}/${name}`;
      for (
        const argv of [
          ["groff", "-man", "-Tutf8", "-ww", "-z", path],
          ["mandoc", "-T", "lint", "-W", "style", path],
        ]
      ) {
        const { code, stdout, stderr } = await attempt(argv);
        assertEquals({ argv, code, stdout, stderr }, { argv, code: 0, stdout: "", stderr: "" });
      }
      const env = { MANWIDTH: "80", LC_ALL: "C.UTF-8", MAN_KEEP_FORMATTING: "" };
      const { code, stdout, stderr } = await attempt(["man", "--warnings=w", "-l", path], { env });
      assertEquals([code, stderr], [0, ""]);
      for (const section of ["NAME", "DESCRIPTION", "SEE ALSO"]) {
        assert(new RegExp(`^${section}$`, "m").test(stdout), `${name}: ${section}`);
      }
      // What marks text in the source is not to be seen, nor roff.
      const odd = stdout.split("\n").filter((line) => /\]\([\w./-]+\)|\\f[BIR]|^\s*\|/.test(line));
      assertEquals(odd, [], name);
    }
    assert(pages > 15);
    const create = await run(["man", "-l", `${folder}/enroot-create.1`], {
      env: { MANWIDTH: "80", LC_ALL: "C.UTF-8" },
    });
    assertStringIncludes(create, "enroot-create - create a container from an image file\n");
    assertStringIncludes(create, "enroot create [-n|--name NAME] [-f|--force] IMAGE\n");
    assertStringIncludes(create, "OPTIONS\n       -n, --name NAME\n");
    assertStringIncludes(create, "enroot-import(1)");
    assertEquals(
      await run(["lexgrog", `${folder}/enroot.conf.5`]),
      `${folder}/enroot.conf.5: "enroot.conf - configuration of enroot"\n`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
