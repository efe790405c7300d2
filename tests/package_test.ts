import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { attempt, run } from "./support/command.ts";
import { DebianRoot } from "./support/debian_root.ts";
import { testInstalled } from "./support/installed_packages.ts";
import { testInstalledRpms } from "./support/installed_rpms.ts";
import manifest from "../deno.json" with { type: "json" };

const top = new URL("../", import.meta.url).pathname;
const { version } = manifest;
const architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const machine = Deno.build.arch;

/** What a checkout makes, as `deno task package` does but hardly compressed. */
async function makeRelease(checkout: string, output: string, mask: string): Promise<void> {
  const script = `umask ${mask} && exec "$@"`;
  await run([
    ...["sh", "-c", script, "sh", Deno.execPath(), "run", "-A", `${checkout}/packaging/package.ts`],
    ...["--fast", "--output", output],
  ], { cwd: checkout, env: { SOURCE_DATE_EPOCH: "1700000000", TZ: "Asia/Tokyo" } });
}

Deno.test({
  name: "packages",
  // Debian is unpacked, and packages are installed, as root.
  ignore: Deno.uid() !== 0,
  fn: async (t) => {
    const work = await Deno.makeTempDir({ prefix: "zenroot-packages-" });
    try {
      await Deno.chmod(work, 0o755);
      await testPackages(t, work);
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  },
});

async function testPackages(t: Deno.TestContext, work: string): Promise<void> {
  const dist = `${work}/dist`;
  const deb = (name: string): string => `${name}_${version}_${architecture}.deb`;
  await makeRelease(top, dist, "022");
  const list = `SHA256SUMS-${machine}`;
  const sums = await Deno.readTextFile(`${dist}/${list}`);

  await t.step("what is made is listed with its checksum, and nothing else is there", async () => {
    await run(["sha256sum", "--check", "--quiet", list], { cwd: dist });
    const names = sums.trimEnd().split("\n").map((line) => line.slice(66));
    const there = (await Array.fromAsync(Deno.readDir(dist))).map(({ name }) => name);
    assertEquals([...names, list].sort(), there.sort());
    assertEquals(names.length, 11);
  });

  // It takes as long as what comes next, on one processor.
  const packages = ["enroot", "enroot+caps", "enroot-hardened", "enroot-hardened+caps"];
  const lintian = attempt(["lintian", "--allow-root", "--fail-on=error", ...packages.map(deb)], {
    cwd: dist,
  });
  await t.step("another checkout, umask and time zone make the same bytes", async () => {
    const checkout = `${work}/elsewhere/checkout`;
    await Deno.mkdir(checkout, { recursive: true });
    const parts = [
      "deno.json",
      "deno.lock",
      "main.ts",
      "lib",
      "workers",
      "helper",
      "packaging",
      "tests",
    ];
    const more = ["docs", "README.md", "LICENSE"];
    await run(["cp", "-R", ...[...parts, ...more].map((name) => `${top}${name}`), checkout]);
    await run(["rm", "-rf", `${checkout}/helper/build`]);
    await makeRelease(checkout, `${work}/again`, "077");
    assertEquals(await Deno.readTextFile(`${work}/again/${list}`), sums);
    await Deno.remove(`${work}/again`, { recursive: true });
  });

  await t.step({
    name: "lintian has no error to report",
    ...{ sanitizeOps: false, sanitizeResources: false },
    fn: async () => {
      const { code, stdout } = await lintian;
      assertEquals(code, 0, stdout);
    },
  });

  await t.step("the archive runs where it is unpacked, for a plain user", async () => {
    const name = `enroot-${version}-${machine}`;
    await run(["tar", "--extract", "--file", `${dist}/${name}.tar.xz`, "--directory", work]);
    const enroot = `${work}/${name}/bin/enroot`;
    await Deno.mkdir(`${work}/home`);
    await Deno.chown(`${work}/home`, 4242, 4242);
    const home = `${work}/home`;
    // The checkout may be closed to others.
    const options = { uid: 4242, gid: 4242, clearEnv: true, env: { HOME: home }, cwd: home };
    assertEquals(await run([enroot, "version"], options), `${version}\n`);
    assertEquals(
      (await run(["sha256sum", enroot])).slice(0, 64),
      sums.split("\n").find((line) => line.endsWith(`  ${name}`))?.slice(0, 64),
    );
  });

  await t.step(
    "helpers need no loader, and their memory is either written or executed",
    async () => {
      for (const name of ["enroot-nsenter", "enroot-zfs-mount", "enroot-bundle"]) {
        const path = `${work}/enroot-${version}-${machine}/libexec/${name}`;
        assertStringIncludes(await run(["file", path]), "static-pie linked");
        const segments = await run(["readelf", "--program-headers", "--wide", path]);
        assert(!segments.includes("INTERP"), segments);
        assertMatch(segments, /GNU_RELRO/);
        assertMatch(segments, /GNU_STACK(\s+0x[0-9a-f]+){5}\s+RW\s/);
        assert(!/LOAD.*RWE/.test(segments), segments);
      }
    },
  );

  await t.step("the RPM packages hold the files of Debian's", async () => {
    for (const flavour of ["enroot", "enroot-hardened"]) {
      const rpm = `${dist}/${flavour}-${version}-1.${machine}.rpm`;
      const listed = (await run(["rpm", "-qpl", rpm])).trimEnd().split("\n");
      const packed = (await run(["dpkg-deb", "--contents", `${dist}/${deb(flavour)}`]))
        .split("\n").filter((line) => line.startsWith("-"))
        .map((line) => line.replace(/^(\S+\s+){5}\./, "").replace(/(\/man\/.*)\.gz$/, "$1"))
        .filter((path) => !/^\/usr\/share\/(doc|lintian)\//.test(path));
      assert(packed.length > 50, `${packed.length} files`);
      assertEquals(packed.filter((path) => !listed.includes(path)), []);
      const edited = (await run(["rpm", "-qpc", rpm])).trimEnd().split("\n");
      assert(edited.includes("/etc/enroot/enroot.conf"), edited.join(" "));
    }
  });

  for (const suite of ["bookworm", "trixie"] as const) {
    await t.step(`on Debian ${suite}`, async (t) => {
      await using root = await DebianRoot.make(suite, (text) => console.error(text));
      await testInstalled(t, root, dist);
      await testInstalledRpms(t, root, dist);
    });
  }
}
