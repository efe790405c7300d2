import { assert, assertEquals } from "@std/assert";
import { Bed, type RunOptions, users } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { openToAll } from "../support/fixture.ts";
import { makeSampleImage } from "../support/sample_image.ts";

const noMksquashfs = "[ERROR] the program 'mksquashfs' is not installed: install squashfs-tools\n";

for (const user of users) {
  Deno.test(`odd surroundings, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    await makeSampleImage(`${bed.work}/layout`);
    await openToAll(`${bed.work}/layout`);

    /** The whole main job, and what the container says. */
    async function job(given: RunOptions): Promise<string> {
      // How well a squashfs is packed is of no interest here, and takes most of the time.
      const env = { ENROOT_SQUASH_OPTIONS: "-noI -noD -noF -noX", ...given.env };
      const options = { ...given, env };
      await bed.succeed(["import", "-o", "i.sqsh", `oci:${bed.work}/layout:sample`], options);
      await bed.succeed(["create", "-n", "box", "i.sqsh"], options);
      const said = await bed.succeed(["start", "box", "sh", "-c", "echo $GREETING"], options);
      await bed.succeed(["export", "-o", "e.sqsh", "box"], options);
      assertEquals(await bed.succeed(["list"], options), "box\n");
      await bed.succeed(["remove", "-f", "box"], options);
      for (const name of ["i.sqsh", "e.sqsh"]) await Deno.remove(`${bed.work}/${name}`);
      return said;
    }

    await t.step("the main job runs with nothing set but what is usual", async () => {
      assertEquals(await job({}), "hello from the image\n");
    });

    await t.step("variables for the runtime do not reach our own", async () => {
      const env = {
        DENO_V8_FLAGS: "--bogus",
        DENO_DIR: "/nonexistent",
        DENO_NO_PROMPT: "x",
        DENO_CERT: "/nonexistent",
        NODE_OPTIONS: "--bogus",
        NODE_DEBUG: "*",
        OTEL_DENO: "true",
        NODE_EXTRA_CA_CERTS: "/nonexistent",
      };
      const plain = await bed.enroot(["version"]);
      assertEquals(await bed.enroot(["version"], { env }), plain);
      assertEquals(await job({ env }), "hello from the image\n");
    });

    await t.step("they are there for the container by -e all the same", async () => {
      await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:sample`]);
      const options = { env: { DENO_V8_FLAGS: "--bogus", NODE_OPTIONS: "theirs" } };
      const text = 'echo "$DENO_V8_FLAGS $NODE_OPTIONS"; env | grep -cE "^(DENO|NODE|OTEL)_"';
      const args = ["start", "-e", "DENO_V8_FLAGS", "-e", "NODE_OPTIONS", "box", "sh", "-c", text];
      assertEquals(await bed.succeed(args, options), "--bogus theirs\n2\n");
      await bed.succeed(["remove", "-f", "box"]);
    });

    await t.step("HOME unset", async () => {
      // Without a passwd entry (the plain user of these tests has none) there is no home at all.
      const env = { ENROOT_DATA_PATH: `${bed.work}/data` };
      assertEquals(await job({ without: ["HOME"], env }), "hello from the image\n");
    });

    await t.step("HOME that does not exist, HOME that cannot be written", async () => {
      const closed = `${bed.work}/closed`;
      await Deno.mkdir(closed);
      if (bed.uid === 0) await run(["mount", "-t", "tmpfs", "-o", "ro", "none", closed]);
      else await Deno.chmod(closed, 0o555);
      try {
        for (const HOME of [closed, `${closed}/none`]) {
          const env = { HOME, ENROOT_DATA_PATH: `${bed.work}/data` };
          assertEquals(await job({ env }), "hello from the image\n");
        }
      } finally {
        if (bed.uid === 0) await run(["umount", closed]);
        await Deno.remove(closed);
      }
    });

    await t.step("XDG_RUNTIME_DIR unset", async () => {
      assertEquals(await job({ without: ["XDG_RUNTIME_DIR"] }), "hello from the image\n");
      const places = [`${bed.temp}/enroot-${bed.uid}`, "/run/enroot"];
      const found = await Promise.all(
        places.map((path) => Deno.stat(path).catch(() => undefined)),
      );
      const made = found.find((info) => info !== undefined);
      if (bed.uid !== 0) assertEquals([made?.uid, (made?.mode ?? 0) & 0o777], [bed.uid, 0o700]);
    });

    await t.step("an environment with nothing in it but PATH", async () => {
      const without = Object.keys(bed.env).filter((name) => name !== "PATH");
      const env = {
        ENROOT_DATA_PATH: `${bed.work}/data`,
        ENROOT_SYSCONF_PATH: bed.sysconf,
        ENROOT_TEMP_PATH: bed.temp,
      };
      assertEquals(await job({ without, env }), "hello from the image\n");
    });

    await t.step("a PATH without sbin, and one that has nothing", async () => {
      assert((await bed.succeed(["list"], { env: { PATH: "/nonexistent" } })) === "");
      const { code, stderr } = await bed.enroot(
        ["import", "-o", "i.sqsh", `oci:${bed.work}/layout:sample`],
        { env: { PATH: "/nonexistent" } },
      );
      // mksquashfs is in /usr/bin: it is named, with what to do, before there was any work.
      assertEquals([code, stderr], [1, noMksquashfs]);
    });

    await t.step("prewarm that is to write files without the program for it", async () => {
      const result = await bed.enroot(["prewarm", "--format=squashfs", "-"], {
        env: { PATH: "/nonexistent" },
        input: `oci:${bed.work}/layout:sample\n`,
      });
      assertEquals([result.code, result.stdout, result.stderr], [1, "", noMksquashfs]);
    });
  });
}
