import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { openFixture } from "../support/fixture.ts";
import { OciLayout, ownArchitecture, pushImage } from "../support/oci_layout.ts";
import manifest from "../../deno.json" with { type: "json" };

const documented = [
  ...["import", "create", "load", "start", "list", "export", "remove", "digest", "info"],
  ...["version", "help"],
];

for (const user of users) {
  Deno.test(`commands, as ${user}`, async (t) => {
    await using fixture = await openFixture();
    await using bed = await Bed.make(user);
    const uri = `docker://${fixture.image}`;

    await t.step("version prints the version of deno.json", async () => {
      assertEquals(await bed.succeed(["version"]), `${manifest.version}\n`);
    });

    await t.step("help lists every command, and each explains itself", async () => {
      for (const args of [["help"], ["-h"], ["--help"]]) {
        const text = await bed.succeed(args);
        for (const name of documented) assertMatch(text, new RegExp(`^ +${name}\\b`, "m"));
      }
      for (const name of documented) {
        for (const args of [[name, "--help"], [name, "-h"], ["help", name]]) {
          const { code, stdout, stderr } = await bed.enroot(args);
          assertEquals([code, stderr], [0, ""]);
          assertMatch(stdout, new RegExp(`^Usage: enroot ${name}\\b`));
        }
      }
    });

    await t.step(
      "info tells the form of the executable and the configuration in force",
      async () => {
        const text = await bed.succeed(["info"], { env: { ENROOT_MAX_CONNECTIONS: "3" } });
        assertMatch(text, /^executable=(bundle|compiled)/m);
        assertMatch(text, /^ENROOT_MAX_CONNECTIONS=3$/m);
        const info = JSON.parse(await bed.succeed(["info", "--json"]));
        assertEquals(info.version, manifest.version);
        assertEquals(info.configuration.ENROOT_TEMP_PATH, bed.temp);
      },
    );

    await t.step(
      "digest is that of the manifest in the registry, for each architecture",
      async () => {
        const digest = await bed.succeed(["digest", uri]);
        assertEquals(digest, await inspect(fixture.image));
        assertEquals(await bed.succeed(["digest", `oci:${fixture.layout}:sample`]), digest);
        // By digest it is the same image again.
        assertEquals(await bed.succeed(["digest", `${uri}@${digest.trim()}`]), digest);

        const other = ownArchitecture === "arm64" ? "amd64" : "arm64";
        const digests = await pushIndex(fixture.folder, fixture.port, other);
        const both = `docker://127.0.0.1:${fixture.port}/team/both:1`;
        assertEquals((await bed.succeed(["digest", both])).trim(), digests.own);
        assertEquals((await bed.succeed(["digest", "-a", other, both])).trim(), digests.other);
        assertNotEquals(digests.own, digests.other);
      },
    );

    await t.step(
      "import names its file after the image, create the container after the file",
      async () => {
        await bed.succeed(["import", uri]);
        await bed.succeed(["create", "team+sample+1.0.sqsh"]);
        assertEquals(await bed.succeed(["list"]), "team+sample+1.0\n");
        await bed.succeed(["create", "--name=b", "--", "team+sample+1.0.sqsh"]);
        await bed.succeed(["create", "-n", "a", "./team+sample+1.0.sqsh"]);
        assertEquals(await bed.succeed(["list"]), "a\nb\nteam+sample+1.0\n");
      },
    );

    await t.step(
      "create and load replace a container only with -f or ENROOT_FORCE_OVERRIDE",
      async () => {
        const marker = `${bed.data}/a/marker`;
        const calls: [args: string[], env: Record<string, string>][] = [
          [["create", "-f", "-n", "a", "team+sample+1.0.sqsh"], {}],
          [["create", "-n", "a", "team+sample+1.0.sqsh"], { ENROOT_FORCE_OVERRIDE: "y" }],
          [["load", "--force", "-n", "a", uri], {}],
        ];
        for (const [args, env] of calls) {
          await Deno.writeTextFile(marker, "old");
          const plain = args.filter((word) => word !== "-f" && word !== "--force");
          assertEquals((await bed.enroot(plain)).code, 1);
          assertEquals(await Deno.readTextFile(marker), "old");
          await bed.succeed(args, { env });
          assertEquals(await Deno.stat(marker).catch(() => "gone"), "gone");
        }
      },
    );

    await t.step(
      "a second load takes the layers from the cache, without the registry",
      async () => {
        const { stderr } = await bed.enroot(["-v", "load", "-f", "-n", "a", uri]);
        assert(!/\[ERROR\]/.test(stderr), stderr);
        assertEquals(await bed.succeed(["start", "a", "cat", "/opt/app/state"]), "1");
      },
    );

    await t.step("export writes NAME.sqsh, and replaces a file only with -f", async () => {
      await bed.succeed(["export", "a"]);
      const first = await Deno.stat(`${bed.work}/a.sqsh`);
      assertEquals((await bed.enroot(["export", "a"])).code, 1);
      assertEquals((await Deno.stat(`${bed.work}/a.sqsh`)).ino, first.ino);
      await bed.succeed(["export", "-f", "a"]);
      assertNotEquals((await Deno.stat(`${bed.work}/a.sqsh`)).ino, first.ino);
    });

    await t.step("remove takes several, and none when one of them is missing", async () => {
      assertEquals((await bed.enroot(["remove", "-f", "a", "nobody"])).code, 1);
      assertMatch(await bed.succeed(["list"]), /^a$/m);
      await bed.succeed(["remove", "--force", "a", "b"]);
      assertEquals(await bed.succeed(["list"]), "team+sample+1.0\n");
    });

    await t.step(
      "stdout has results only; -q and ENROOT_LOG_LEVEL still the messages",
      async () => {
        await Deno.remove(`${bed.work}/team+sample+1.0.sqsh`);
        const args = ["import", "-o", "q.sqsh", uri];
        const etc = { ENROOT_SYSCONF_PATH: `${bed.work}/etc` };
        await Deno.mkdir(etc.ENROOT_SYSCONF_PATH);
        await Deno.writeTextFile(`${bed.work}/etc/enroot.conf`, "ENROOT_LOG_LEVEL error\n");
        const ways: [args: string[], env: Record<string, string>, says: RegExp][] = [
          [args, etc, /^$/],
          [["-v", ...args], etc, /^\[DEBUG\] /m],
          [args, { ...etc, ENROOT_LOG_LEVEL: "debug" }, /^\[DEBUG\] /m],
          [args, {}, /^(\[INFO\] [^\n]+\n)+$/],
          [["-q", ...args], {}, /^$/],
          [["--quiet", ...args], {}, /^$/],
          [args, { ENROOT_LOG_LEVEL: "error" }, /^$/],
          [args, { ENROOT_LOG_LEVEL: "warning" }, /^$/],
          [["-v", ...args], {}, /^\[DEBUG\] /m],
          [args, { ENROOT_LOG_LEVEL: "debug" }, /^\[DEBUG\] /m],
        ];
        for (const [words, env, says] of ways) {
          const { code, stdout, stderr } = await bed.enroot(words, { env });
          assertEquals([code, stdout], [0, ""], stderr);
          assertMatch(stderr, says);
          await Deno.remove(`${bed.work}/q.sqsh`);
        }
        await Deno.remove(`${bed.work}/etc`, { recursive: true });
      },
    );

    await t.step("ENROOT_DEBUG adds a stack trace, and nothing else does", async () => {
      const args = ["create", "none.sqsh"];
      assertEquals((await bed.enroot(args)).stderr.trim().split("\n").length, 1);
      const { stderr } = await bed.enroot(args, { env: { ENROOT_DEBUG: "y" } });
      assertMatch(stderr, /^\[ERROR\] [^\n]+\n(.*\n)*\s+at /);
    });
  });
}

async function inspect(image: string): Promise<string> {
  return await run([
    ...["skopeo", "--insecure-policy", "inspect", "--tls-verify=false"],
    ...["--format", "{{.Digest}}", `docker://${image}`],
  ]);
}

/** Push an index of two images. @returns the digests of their manifests */
async function pushIndex(
  folder: string,
  port: number,
  other: string,
): Promise<{ own: string; other: string }> {
  const layout = await OciLayout.create(`${folder}/both`);
  const tar = `${folder}/both.tar`;
  await run(["tar", "-cf", tar, "-C", "/etc", "hostname"]);
  const layer = await layout.putLayer(tar, "gzip");
  const images = {
    own: await layout.putImage([layer]),
    other: await layout.putImage([layer], { architecture: other }),
  };
  await layout.tag("both", await layout.putIndex([images.other, images.own]));
  await pushImage(layout.path, "both", `127.0.0.1:${port}/team/both:1`);
  return { own: images.own.digest, other: images.other.digest };
}
