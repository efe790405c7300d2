// What a terminal is sent is made of control characters.
// deno-lint-ignore-file no-control-regex
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { openFixture } from "../support/fixture.ts";
import { startSlowProxy } from "../support/slow_proxy.ts";

for (const user of users) {
  Deno.test(`progress is for people, as ${user}`, async (t) => {
    await using fixture = await openFixture();
    await using bed = await Bed.make(user);
    // Slow enough that a bar is drawn more than once.
    await using proxy = startSlowProxy(fixture.port, { bytesPerSecond: 12_000_000 });
    const uri = `docker://127.0.0.1:${proxy.port}/team/sample:1.0`;

    /** What a terminal would be sent. */
    async function onTerminal(command: string, env: Record<string, string> = {}): Promise<string> {
      const { code, stdout } = await bed.run(
        ["script", "--quiet", "--return", "--command", command, "/dev/null"],
        { env: { TERM: "xterm", EXECUTABLE: bed.executable, URI: uri, ...env } },
      );
      assertEquals(code, 0, stdout);
      return stdout;
    }

    await t.step("bars on a terminal, for each phase, and none left at the end", async () => {
      const text = await onTerminal(`"$EXECUTABLE" import -o a.sqsh "$URI"`);
      assertMatch(text, /\r\x1b\[K.*Downloading/);
      for (const label of ["Downloading", "Extracting", "Writing"]) {
        assertMatch(text, new RegExp(`${label}( \\[[#-]+\\])? *[0-9]+%`));
      }
      const last = text.slice(text.lastIndexOf("\n", text.length - 2) + 1);
      assert(!/%/.test(last.slice(last.lastIndexOf("\x1b[K"))), JSON.stringify(last));
      assertMatch(text, /\x1b\[34m\[INFO\]/);
    });

    await t.step("no bar and no escape when stderr is a pipe", async () => {
      const { code, stderr } = await bed.enroot(["import", "-o", "b.sqsh", uri]);
      assertEquals(code, 0);
      assert(!/[\r\x1b]/.test(stderr), JSON.stringify(stderr));
    });

    await t.step("nothing at all with -q, and no colour where none is wanted", async () => {
      assertEquals(await onTerminal(`"$EXECUTABLE" -q import -o c.sqsh "$URI"`), "");
      const coloured = /\x1b\[3/;
      for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
        const text = await onTerminal(`"$EXECUTABLE" import -o d.sqsh "$URI"`, env);
        assert(!coloured.test(text));
        await Deno.remove(`${bed.work}/d.sqsh`);
      }
    });
  });
}
