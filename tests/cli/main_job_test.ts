import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { openFixture, openToAll } from "../support/fixture.ts";
import { makeSampleImage, sampleLayers } from "../support/sample_image.ts";
import { run } from "../support/command.ts";
import { assertSameTree, type DescribeOptions, describeTree } from "../support/tree.ts";

/** What an image's own layers do not hold, and the time of the folder it is put in. */
const generated: DescribeOptions = {
  without: ["etc/rc", "etc/rc.local", "etc/fstab", "etc/environment", ".lock"],
  ignoreMtimeOf: ["etc"],
  owners: true,
};
const exact: DescribeOptions = { ...generated, nanoseconds: true };

for (const user of users) {
  Deno.test(`the main job, as ${user}`, async (t) => {
    await using fixture = await openFixture();
    await using bed = await Bed.make(user);
    const uri = `docker://${fixture.image}`;
    const reference = `${bed.work}/reference`;
    const unpack = ["umoci", "raw", "unpack", ...(bed.uid === 0 ? [] : ["--rootless"])];
    const { code, stderr } = await bed.run(
      [...unpack, "--image", `${fixture.layout}:sample`, reference],
    );
    assertEquals(code, 0, stderr);
    const expected = await describeTree(reference, generated);
    const expectedExactly = await describeTree(reference, exact);

    await t.step("the file of `import` has the default name, and is a squashfs", async () => {
      await bed.succeed(["import", uri]);
      assertEquals((await bed.contents()).filter((path) => path.endsWith(".sqsh")), [
        "work/team+sample+1.0.sqsh",
      ]);
      assertStringIncludes(
        await run(["file", `${bed.work}/team+sample+1.0.sqsh`]),
        "Squashfs filesystem",
      );
    });

    await t.step("`create` of it gives the tree that umoci unpacks", async () => {
      await bed.succeed(["create", "-n", "created", "team+sample+1.0.sqsh"]);
      const tree = await describeTree(`${bed.data}/created`, generated);
      assertSameTree(tree, expected, "import and create do not give what umoci gives");
    });

    await t.step("`load` gives it too, to the nanosecond", async () => {
      await bed.succeed(["load", "-n", "loaded", uri]);
      const tree = await describeTree(`${bed.data}/loaded`, exact);
      assertSameTree(tree, expectedExactly, "load does not give what umoci gives");
    });

    await t.step("both ways generate the same files", async () => {
      for (const name of ["rc", "rc.local", "fstab", "environment"]) {
        assertEquals(
          await Deno.readTextFile(`${bed.data}/created/etc/${name}`),
          await Deno.readTextFile(`${bed.data}/loaded/etc/${name}`),
        );
      }
      const rc = await Deno.readTextFile(`${bed.data}/created/etc/rc`);
      assertMatch(rc, /^# org\.example\.note: two\n# lines\n# org\.example\.title: sample\n/);
      assertStringIncludes(rc, `# enroot-provenance: ${uri}\n`);
      assertEquals(
        await Deno.readTextFile(`${bed.data}/created/etc/fstab`),
        "${ENROOT_ROOTFS}/data /data none x-create=dir,bind,rw,nosuid,nodev\n",
      );
    });

    for (const kind of ["oci", "oci-archive", "docker-archive"]) {
      await t.step(
        `${kind}: gives the same tree, from an absolute or a relative path`,
        async () => {
          const path = kind === "oci" ? fixture.layout : `${fixture.folder}/${kind}.tar`;
          const tag = kind === "docker-archive" ? "team/sample:1.0" : "sample";
          if (kind !== "oci" && !await isThere(path)) {
            const copy = [
              "skopeo",
              "--insecure-policy",
              "copy",
              "-q",
              `oci:${fixture.layout}:sample`,
            ];
            await run([...copy, `${kind}:${path}:${tag}`]);
            await openToAll(fixture.folder);
          }
          const name = `from-${kind}`;
          await bed.succeed(["load", "-n", name, `${kind}:${path}`]);
          const tree = await describeTree(`${bed.data}/${name}`, exact);
          assertSameTree(tree, expectedExactly, `${kind} does not give what umoci gives`);

          const file = path.slice(path.lastIndexOf("/") + 1);
          const relative = ["load", "-f", "-n", name, `${kind}://${file}:${tag}`];
          await bed.succeed(relative, { cwd: fixture.folder });
          assertSameTree(
            await describeTree(`${bed.data}/${name}`, exact),
            tree,
            "relative differs",
          );
        },
      );
    }

    await t.step("zstd and uncompressed layers give the same tree", async () => {
      const layout = `${bed.work}/mixed`;
      await makeSampleImage(layout, { compression: ["zstd", "none", "gzip", "zstd"] });
      await openToAll(layout);
      await bed.succeed(["load", "-n", "mixed", `oci:${layout}:sample`]);
      const tree = await describeTree(`${bed.data}/mixed`, exact);
      assertSameTree(tree, expectedExactly, "other compressions do not give the same");
    });

    await t.step(
      "`export` gives an image of the same tree, without what start leaves",
      async () => {
        await bed.succeed(["start", "created", "true"]);
        await bed.succeed(["export", "-o", "exported.sqsh", "created"]);
        await bed.succeed(["create", "exported.sqsh"]);
        const tree = await describeTree(`${bed.data}/exported`, { ...generated, without: [] });
        const before = await describeTree(`${bed.data}/created`, {
          ...generated,
          without: [".lock"],
        });
        assertSameTree(tree, before, "the export is not what the container is");
      },
    );

    await t.step(
      "`remove` takes containers away, folders without write permission too",
      async () => {
        const names = (await bed.succeed(["list"])).trim().split("\n");
        assertEquals(names.includes("created") && names.length > 5, true, String(names));
        await bed.succeed(["remove", "-f", ...names]);
        assertEquals(await bed.succeed(["list"]), "");
        const left = (await bed.contents()).filter((path) => !path.startsWith("work/"));
        assertEquals(left, []);
      },
    );
  });
}

Deno.test("the sample image has at least four layers, the same layer twice among them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const layout = await makeSampleImage(`${folder}/layout`);
    const index = JSON.parse(await Deno.readTextFile(`${layout.path}/index.json`));
    const manifest = JSON.parse(
      await Deno.readTextFile(layout.blobPath(index.manifests[0].digest)),
    );
    const digests: string[] = manifest.layers.map((layer: { digest: string }) => layer.digest);
    assertEquals(digests.length, sampleLayers);
    assertEquals(sampleLayers >= 4, true);
    assertEquals(new Set(digests).size, digests.length - 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
