import { assertEquals } from "@std/assert";
import { collectConfiguration, writeConfiguration } from "./configuration.ts";

Deno.test("configuration comes out as it went in, whoever it is of, and nothing else does", async () => {
  const top = await Deno.makeTempDir();
  try {
    const from = `${top}/from`;
    await Deno.mkdir(`${from}/hooks.d`, { recursive: true });
    await Deno.mkdir(`${from}/environ.d`);
    const bytes = new Uint8Array([0, 255, 10, 13]);
    await Deno.writeFile(`${from}/hooks.d/10 odd.sh`, bytes, { mode: 0o755 });
    await Deno.writeTextFile(`${from}/hooks.d/20-off.sh`, "off", { mode: 0o644 });
    await Deno.symlink("/nowhere", `${from}/hooks.d/30-gone.sh`);
    await Deno.writeTextFile(`${from}/hooks.d/notes.txt`, "not a hook");
    await Deno.writeTextFile(`${from}/environ.d/a.env`, "A=1\n");
    const files = collectConfiguration("user", (name) => `${from}/${name}`);

    writeConfiguration(`${top}/to`, files);
    const user = `${top}/to/user`;
    assertEquals(await Deno.readFile(`${user}/hooks.d/10 odd.sh`), bytes);
    assertEquals(await Deno.readTextFile(`${user}/environ.d/a.env`), "A=1\n");
    const found: string[] = [];
    for (const owner of ["system", "user"]) {
      for (const folder of ["mounts.d", "environ.d", "hooks.d"]) {
        for (const { name } of Deno.readDirSync(`${top}/to/${owner}/${folder}`)) {
          const { mode } = Deno.statSync(`${top}/to/${owner}/${folder}/${name}`);
          found.push(`${owner}/${folder}/${name} ${((mode ?? 0) & 0o777).toString(8)}`);
        }
      }
    }
    assertEquals(found.toSorted(), [
      "user/environ.d/a.env 600",
      "user/hooks.d/10 odd.sh 700",
      "user/hooks.d/20-off.sh 600",
    ]);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
});
