import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { type Fixture, openFixture, openToAll } from "../support/fixture.ts";
import { OciLayout, ownArchitecture, pushImage } from "../support/oci_layout.ts";

interface Case {
  /** What is wrong. */
  readonly about: string;
  readonly args: readonly string[];
  /** What the one line must say. */
  readonly says: RegExp;
  /** The call itself is wrong: the usage follows. */
  readonly usage?: true;
  readonly env?: Record<string, string>;
}

for (const user of users) {
  Deno.test(`bad input, as ${user}`, async (t) => {
    await using fixture = await openFixture();
    await using bed = await Bed.make(user);
    const registry = `docker://127.0.0.1:${fixture.port}`;
    const other = ownArchitecture === "arm64" ? "amd64" : "arm64";
    const bad = await makeBadFiles(fixture, bed, other);

    const cases: Case[] = [
      { about: "no command", args: [], says: /no command/, usage: true },
      { about: "unknown command", args: ["frobnicate"], says: /'frobnicate'/, usage: true },
      { about: "unknown option", args: ["import", "--frob", "x"], says: /--frob/, usage: true },
      {
        about: "option with a value",
        args: ["list", "-f=1"],
        says: /--fancy.*no value/,
        usage: true,
      },
      {
        about: "unknown action",
        args: ["cache", "constructor"],
        says: /'constructor'/,
        usage: true,
      },
      { about: "option without value", args: ["import", "-o"], says: /-o|output/, usage: true },
      { about: "missing operand", args: ["import"], says: /URI/, usage: true },
      {
        about: "a container's name for a file",
        args: ["import", "-n", "x", `oci:${fixture.layout}:sample`],
        says: /enroot load/,
        usage: true,
      },
      { about: "too many operands", args: ["create", "a", "b"], says: /'b'/, usage: true },
      {
        about: "unknown scheme",
        args: ["import", "ftp://x/y"],
        says: /ftp.*begin with docker:.*or zfs:\/\/$/,
      },
      {
        about: "a password in a reference, which is not shown",
        args: ["import", "docker://u:p@127.0.0.1:1/x"],
        says: /'u:…@127\.0\.0\.1:1\/x'.*\.credentials$/,
      },
      { about: "a reference that is none", args: ["import", "docker://UPPER/x"], says: /UPPER/ },
      { about: "missing image file", args: ["create", "none.sqsh"], says: /none\.sqsh/ },
      { about: "not a squashfs", args: ["create", bad.text], says: /neither a squashfs file/ },
      {
        about: "truncated squashfs",
        args: ["create", bad.cutSquashfs],
        says: /cannot unpack \S+cut\.sqsh: unsquashfs failed with exit code 1: \S/,
      },
      {
        about: "existing output file",
        args: ["import", "-o", bad.text, `oci:${fixture.layout}:sample`],
        says: /text\.sqsh.*exists/,
      },
      {
        about: "existing output file of an export",
        args: ["export", "-o", bad.text, "kept"],
        says: /text\.sqsh.*exists/,
      },
      { about: "existing container", args: ["create", "-n", "kept", bad.squashfs], says: /kept/ },
      {
        about: "missing container to start",
        args: ["start", "nobody"],
        says: /no container and no image file 'nobody' \(/,
      },
      ...["start", "bundle"].flatMap((command): Case[] => [
        {
          about: `${command} of a missing file`,
          args: [command, "none.sqsh"],
          says: /no container and no image file 'none\.sqsh' \(/,
        },
        {
          about: `${command} of a missing file whose name no container could have`,
          args: [command, ".none.sqsh"],
          says: /no container and no image file '\.none\.sqsh' \(/,
        },
        {
          about: `${command} of a missing path`,
          args: [command, "./none.sqsh"],
          says: /\] \.\/none\.sqsh: no such image file$/m,
        },
        {
          about: `${command} of a path through a file`,
          args: [command, `${bad.text}/x`],
          says: /text\.sqsh\/x: no such image file$/m,
        },
        {
          about: `${command} of a folder`,
          args: [command, "../work"],
          says: /\] \.\.\/work is neither a squashfs file/,
        },
      ]),
      { about: "an empty name to start", args: ["start", ""], says: /name "" is empty/ },
      { about: "missing container to export", args: ["export", "nobody"], says: /nobody/ },
      { about: "missing container to remove", args: ["remove", "-f", "nobody"], says: /nobody/ },
      { about: "nobody to confirm", args: ["remove", "kept"], says: /kept.*--force/ },
      {
        about: "name that leaves the store",
        args: ["create", "-n", "../x", bad.squashfs],
        says: /\.\.\/x/,
      },
      {
        about: "name that looks like an option",
        args: ["create", "-n=-x", bad.squashfs],
        says: /-x/,
      },
      { about: "missing layout", args: ["import", "oci:nowhere:x"], says: /nowhere/ },
      {
        about: "missing tag in a layout",
        args: ["import", `oci:${fixture.layout}:none`],
        says: /none/,
      },
      {
        about: "truncated oci-archive",
        args: ["load", "-n", "x", `oci-archive:${bad.cutOciArchive}`],
        says: /cut-oci\.tar/,
      },
      {
        about: "truncated docker-archive",
        args: ["load", "-n", "x", `docker-archive:${bad.cutDockerArchive}`],
        says: /cut-docker\.tar/,
      },
      {
        about: "an archive that is none",
        args: ["load", "-n", "x", `docker-archive:${bad.text}`],
        says: /text\.sqsh/,
      },
      ...["layer", "config", "manifest", "diffid"].flatMap((what): Case[] =>
        ["import", "load"].map((command) => ({
          about: `${command} with a wrong ${what}`,
          args: [command, `oci:${bad.layouts}/${what}:sample`],
          says: /sha256:[0-9a-f]{64}/,
        }))
      ),
      {
        about: "unreachable registry",
        args: ["import", "docker://127.0.0.1:1/team/sample"],
        says: /127\.0\.0\.1:1/,
      },
      {
        about: "unknown repository",
        args: ["import", `${registry}/team/none`],
        says: /team\/none/,
      },
      { about: "unknown tag", args: ["load", `${registry}/team/sample:none`], says: /none/ },
      {
        about: "unknown digest",
        args: ["digest", `${registry}/team/sample@sha256:${"0".repeat(64)}`],
        says: /sha256:0{64}/,
      },
      {
        about: "image for another architecture only",
        args: ["import", `${registry}/team/other:1`],
        says: new RegExp(`${ownArchitecture}.*${other}.*ppc64le`),
      },
      {
        about: "plain image for another architecture",
        args: ["import", `oci:${bad.layouts}/foreign:sample`],
        says: new RegExp(other),
      },
      {
        about: "http that was not allowed",
        args: ["import", `${registry}/team/sample:1.0`],
        says: /ENROOT_ALLOW_HTTP/,
        env: { ENROOT_ALLOW_HTTP: "n" },
      },
      {
        about: "a wrong value in the environment",
        args: ["list"],
        says: /ENROOT_MAX_PROCESSORS.*many/,
        env: { ENROOT_MAX_PROCESSORS: "many" },
      },
      {
        about: "a wrong value in a file",
        args: ["list"],
        says: /ENROOT_TRANSFER_RETRIES.*soon.*enroot\.conf.*2/,
        env: { ENROOT_SYSCONF_PATH: bad.sysconf },
      },
      {
        about: "squashfs options that mksquashfs does not know",
        args: ["import", `oci:${fixture.layout}:sample`],
        says: /mksquashfs.*ENROOT_SQUASH_OPTIONS '-bogus': invalid option/,
        env: { ENROOT_SQUASH_OPTIONS: "-bogus" },
      },
    ];

    await bed.succeed(["create", "-n", "kept", bad.squashfs]);
    const before = await bed.contents();
    for (const { about, args, says, usage, env = {} } of cases) {
      await t.step(about, async () => {
        const { code, signal, stdout, stderr } = await bed.enroot(args, { env });
        assertEquals([code, signal, stdout], [1, null, ""], stderr);
        const lines = stderr.split("\n").slice(0, -1);
        const errors = lines.filter((line) => line.startsWith("[ERROR] "));
        assertEquals(errors.length, 1, stderr);
        assertMatch(errors[0] ?? "", says);
        const further = lines.slice(lines.indexOf(errors[0] ?? "") + 1);
        if (usage) assertMatch(further[0] ?? "", /^Usage: enroot /);
        else assertEquals(further, []);
        assertEquals(await bed.contents(), before, "something is left behind");
      });
    }

    await t.step("a folder that may not be written", async () => {
      const closed = `${bed.work}/closed`;
      await Deno.mkdir(closed);
      // Root may write anywhere but where nobody can.
      if (bed.uid === 0) await run(["mount", "-t", "tmpfs", "-o", "ro", "none", closed]);
      else await Deno.chmod(closed, 0o555);
      try {
        const source = `oci:${fixture.layout}:sample`;
        for (
          const [args, env] of [
            [["import", "-o", `${closed}/x.sqsh`, source], {}],
            [["import", "-o", "x.sqsh", source], { ENROOT_TEMP_PATH: closed }],
            [["load", "-n", "x", source], { ENROOT_DATA_PATH: `${closed}/data` }],
          ] as const
        ) {
          const { code, stderr } = await bed.enroot(args, { env });
          assertEquals(code, 1);
          assertMatch(stderr, /^\[ERROR\] .*closed/m);
          assertEquals((await bed.contents()).filter((path) => path !== "work/closed"), before);
        }
      } finally {
        if (bed.uid === 0) await run(["umount", closed]);
        await Deno.remove(closed);
      }
    });

    if (Deno.uid() === 0) {
      await t.step("a full disk, each place in turn", async () => {
        const small = `${bed.work}/small`;
        await Deno.mkdir(small);
        const options = `size=8m,uid=${bed.uid},mode=755`;
        await run(["mount", "-t", "tmpfs", "-o", options, "none", small]);
        try {
          const source = `${registry}/team/sample:1.0`;
          const places: [args: string[], env: Record<string, string>][] = [
            [["import", "-o", `${small}/x.sqsh`, source], {}],
            [["import", "-o", "x.sqsh", source], { ENROOT_TEMP_PATH: small }],
            [["load", "-n", "x", source], { ENROOT_DATA_PATH: small }],
            [["create", "-n", "x", bad.squashfs], { ENROOT_DATA_PATH: small }],
            [["export", "-o", `${small}/x.sqsh`, "kept"], {}],
            [["import", "-o", "x.sqsh", source], { ENROOT_CACHE_PATH: small }],
          ];
          for (const [args, env] of places) {
            const { code, stderr } = await bed.enroot(args, { env });
            assertEquals(code, 1, `${args.join(" ")}: ${stderr}`);
            assertEquals(stderr.match(/^\[ERROR\] /gm)?.length, 1, stderr);
            assertStringIncludes(
              stderr.toLowerCase(),
              "no space left",
              `${args.join(" ")}: ${stderr}`,
            );
            const left = (await run(["find", small, "-mindepth", "1", "-type", "f"])).trim();
            // What a cache holds whole may stay in it, and what says that it is one.
            const wrong = left.split("\n").filter((path) =>
              !("ENROOT_CACHE_PATH" in env) ||
              !/\/([0-9a-f]{64}|oci-layout|payload\/lock)$/.test(path)
            );
            assertEquals(wrong.filter((path) => path !== ""), []);
            assertEquals(
              (await bed.contents()).filter((path) => !path.startsWith("work/small")),
              before,
            );
          }
        } finally {
          await run(["umount", small]);
          await Deno.remove(small);
        }
      });
    }
  });
}

/** The files that the cases are about, in the bed's working folder. */
async function makeBadFiles(fixture: Fixture, bed: Bed, other: string): Promise<{
  text: string;
  squashfs: string;
  cutSquashfs: string;
  cutOciArchive: string;
  cutDockerArchive: string;
  layouts: string;
  sysconf: string;
}> {
  const folder = `${bed.work}/bad`;
  await Deno.mkdir(folder);
  const text = `${folder}/text.sqsh`;
  await Deno.writeTextFile(text, "no image, whatever its name says\n".repeat(100));

  const squashfs = `${folder}/good.sqsh`;
  await bed.own();
  await bed.succeed(["import", "-o", squashfs, `oci:${fixture.layout}:sample`]);
  const cutSquashfs = `${folder}/cut.sqsh`;
  await cut(squashfs, cutSquashfs);
  const copy = ["skopeo", "--insecure-policy", "copy", "-q", `oci:${fixture.layout}:sample`];
  const archives: string[] = [];
  for (const kind of ["oci", "docker"]) {
    const whole = `${fixture.folder}/${kind}.tar`;
    await run([...copy, `${kind}-archive:${whole}:team/sample:1.0`]);
    archives.push(`${folder}/cut-${kind}.tar`);
    await cut(whole, `${folder}/cut-${kind}.tar`);
    await Deno.remove(whole);
  }

  const layouts = `${folder}/layouts`;
  await makeWrongLayouts(fixture, layouts, other);
  await pushForeignIndex(fixture, other);

  const sysconf = `${folder}/sysconf`;
  await Deno.mkdir(sysconf);
  await Deno.writeTextFile(`${sysconf}/enroot.conf`, "# ours\nENROOT_TRANSFER_RETRIES soon\n");
  await bed.own();
  const [cutOciArchive = "", cutDockerArchive = ""] = archives;
  return { text, squashfs, cutSquashfs, cutOciArchive, cutDockerArchive, layouts, sysconf };
}

/** Keep the first two thirds of a file. */
async function cut(from: string, to: string): Promise<void> {
  await Deno.copyFile(from, to);
  await Deno.truncate(to, Math.floor((await Deno.stat(to)).size * 2 / 3));
}

/** Copies of the sample layout that each have one blob with a byte changed, and two other ones. */
async function makeWrongLayouts(fixture: Fixture, folder: string, other: string): Promise<void> {
  await Deno.mkdir(folder);
  const index = JSON.parse(await Deno.readTextFile(`${fixture.layout}/index.json`));
  const manifestDigest: string = index.manifests[0].digest;
  const path = (digest: string): string => `blobs/${digest.replace(":", "/")}`;
  const manifest = JSON.parse(
    await Deno.readTextFile(`${fixture.layout}/${path(manifestDigest)}`),
  );
  const wrong = {
    manifest: manifestDigest,
    config: manifest.config.digest,
    layer: manifest.layers[1].digest,
  };
  for (const [name, digest] of Object.entries(wrong)) {
    await run(["cp", "-r", fixture.layout, `${folder}/${name}`]);
    const blob = `${folder}/${name}/${path(digest)}`;
    const bytes = await Deno.readFile(blob);
    // The time in gzip's header has no effect on what is inflated; JSON is broken, but its digest
    // must be looked at before that.
    const at = name === "layer" ? 4 : bytes.lastIndexOf("}".charCodeAt(0));
    bytes[at] = name === "layer" ? 1 : " ".charCodeAt(0);
    await Deno.writeFile(blob, bytes);
  }

  const tar = `${folder}/small.tar`;
  await run(["tar", "-cf", tar, "-C", "/etc", "hostname"]);
  for (const name of ["diffid", "foreign"]) {
    const layout = await OciLayout.create(`${folder}/${name}`);
    const layer = await layout.putLayer(tar, "gzip");
    await layout.tag(
      "sample",
      name === "foreign"
        ? await layout.putImage([layer], { architecture: other })
        : await layout.putImage([{ ...layer, diffId: `sha256:${"1".repeat(64)}` }]),
    );
  }
  await Deno.remove(tar);
}

/** Push an index that has everything but this machine's architecture, and an attestation. */
async function pushForeignIndex(fixture: Fixture, other: string): Promise<void> {
  const path = `${fixture.folder}/foreign`;
  const layout = await OciLayout.create(path);
  const tar = `${fixture.folder}/foreign.tar`;
  await run(["tar", "-cf", tar, "-C", "/etc", "hostname"]);
  const layer = await layout.putLayer(tar, "gzip");
  await Deno.remove(tar);
  const attestation = await layout.putImage([layer], { architecture: "unknown" });
  const index = await layout.putIndex([
    await layout.putImage([layer], { architecture: other }),
    await layout.putImage([layer], { architecture: "ppc64le" }),
    { ...attestation, platform: { os: "unknown", architecture: "unknown" } },
  ]);
  await layout.tag("foreign", index);
  await pushImage(path, "foreign", `127.0.0.1:${fixture.port}/team/other:1`);
  await openToAll(fixture.folder);
}
