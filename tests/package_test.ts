import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { attempt, run } from "./support/command.ts";
import { makeBusyboxImage } from "./support/busybox_image.ts";
import { DebianRoot } from "./support/debian_root.ts";
import manifest from "../deno.json" with { type: "json" };

const top = new URL("../", import.meta.url).pathname;
const { version } = manifest;
const architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const machine = Deno.build.arch;
const next = `${version}+next`;
const helper = "/usr/libexec/enroot/enroot-zfs-mount";
const capability = `${helper} cap_sys_admin=ep\n`;

/** What a checkout makes, as `deno task package` does but hardly compressed. */
async function makeRelease(checkout: string, output: string, mask: string): Promise<void> {
  const script = `umask ${mask} && exec "$@"`;
  await run([
    ...["sh", "-c", script, "sh", Deno.execPath(), "run", "-A", `${checkout}/packaging/package.ts`],
    ...["--fast", "--output", output],
  ], { cwd: checkout, env: { SOURCE_DATE_EPOCH: "1700000000", TZ: "Asia/Tokyo" } });
}

/** A package as its next version: one configuration file is another one in it. */
async function makeNext(deb: string, work: string): Promise<string> {
  await run(["dpkg-deb", "--raw-extract", deb, work]);
  for (const name of ["control", "conffiles"]) await Deno.stat(`${work}/DEBIAN/${name}`);
  const control = await Deno.readTextFile(`${work}/DEBIAN/control`);
  await Deno.writeTextFile(
    `${work}/DEBIAN/control`,
    control.replace(/^Version: .*$/m, `Version: ${next}`),
  );
  await Deno.writeTextFile(`${work}/etc/enroot/environ.d/10-terminal.env`, "TERM=next\n");
  await run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", work, `${work}.deb`]);
  return `${work}.deb`;
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
  const deb = (name: string, its = version): string => `${name}_${its}_${architecture}.deb`;
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

  await t.step("lintian has no error to report", async () => {
    // The flavours are made of the same files.
    const names = ["enroot", "enroot+caps"];
    const { code, stdout } = await attempt(
      ["lintian", "--allow-root", "--fail-on=error", ...names.map((name) => deb(name))],
      { cwd: dist },
    );
    assertEquals(code, 0, stdout);
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
      for (const name of ["enroot-nsenter", "enroot-zfs-mount"]) {
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

  await testInstalled(t, work, dist, deb);
}

async function testInstalled(
  t: Deno.TestContext,
  work: string,
  dist: string,
  deb: (name: string) => string,
): Promise<void> {
  await using root = await DebianRoot.make((text) => console.error(text));
  const apt = (...args: string[]): Promise<string> =>
    root.run([
      "apt-get",
      "-o",
      "Acquire::Check-Valid-Until=false",
      "--yes",
      "--allow-downgrades",
      "--quiet",
      ...args,
    ]);
  await apt("update");
  await apt("install", "--no-install-recommends", "libcap2-bin");
  await run(["sh", "-c", 'cp "$1"/*.deb "$2"', "sh", dist, `${root.path}/root`]);
  await makeBusyboxImage(`${root.path}/srv/image`, "latest");
  await run(["chmod", "-R", "a+rX", `${root.path}/srv/image`]);
  const before = await root.files();
  const install = (...names: string[]): Promise<string> =>
    apt("install", "--no-install-recommends", ...names.map((name) => `/root/${deb(name)}`));
  const granted = (): Promise<string> => root.run(["getcap", helper]);
  const payloads = async (): Promise<string[]> =>
    (await Array.fromAsync(Deno.readDir(`${root.path}/usr/libexec/enroot/payload`)))
      .map(({ name }) => name);
  const asUser = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await root.asUser(script);
    assertEquals(code, 0, stderr);
    return stdout;
  };
  const openFile = `enroot start box sh -c 'echo "$(ls /proc/self/fd)"' 9< /etc/passwd`;

  await t.step("apt installs, and a plain user has containers at once", async () => {
    await install("enroot");
    assertEquals(await asUser("enroot version"), `${version}\n`);
    await asUser("enroot load --name box oci:/srv/image:latest");
    assertEquals(await asUser("enroot start box echo it runs"), "it runs\n");
    assertEquals(await asUser("enroot list"), "box\n");
    assertStringIncludes(await asUser(openFile), "9\n");
  });

  await t.step("the program is root's, unpacked once, and its code is compiled", async () => {
    assertEquals(await asUser("find ~ /tmp /run -name '*payload*'"), "");
    const [payload, ...others] = await payloads();
    assertEquals(others, []);
    // The runtime would be the node that this Debian lacks, for all that it runs.
    const conf = `${root.path}/etc/enroot/enroot.conf.d/path.conf`;
    const value = '$(echo "$PATH"; env | grep -c ^DENO || true)';
    await Deno.writeTextFile(conf, `ENROOT_SQUASH_OPTIONS ${value}\n`);
    assertMatch(await asUser("enroot info"), /^ENROOT_SQUASH_OPTIONS=\/usr\/bin:\/bin 0$/m);
    await Deno.remove(conf);
    const folder = `/usr/libexec/enroot/payload/${payload}`;
    assertEquals(
      await root.run([
        "find",
        folder,
        "!",
        "-user",
        "root",
        "-o",
        "!",
        "-type",
        "l",
        "-perm",
        "/022",
      ]),
      "",
    );
    const { size } = await Deno.stat(`${root.path}${folder}/cache/v8_code_cache_v2`);
    assert(size > 100_000, `${size} bytes of code`);
    const sizes = await root.run(["find", `${folder}/cache`, "-printf", "%p %s %T@\n"]);
    await asUser("enroot version");
    assertEquals(await root.run(["find", `${folder}/cache`, "-printf", "%p %s %T@\n"]), sizes);
  });

  await t.step("AppArmor gets the rule for user namespaces where it knows it", async () => {
    const profiles = `${root.path}/etc/apparmor.d`;
    const setUp = ["/usr/libexec/enroot/set-up", "apparmor"];
    const check = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--base", profiles];
    await run([...check, `${profiles}/enroot`]);
    await Deno.mkdir(`${profiles}/abi`);
    await Deno.writeTextFile(`${profiles}/abi/4.0`, "");
    await root.run(setUp);
    assertEquals(await Deno.readTextFile(`${profiles}/enroot.d/abi`), "abi <abi/4.0>,\n");
    assertEquals(await Deno.readTextFile(`${profiles}/enroot.d/rules`), "userns,\n");
    await Deno.remove(`${profiles}/abi`, { recursive: true });
    await root.run(setUp);
    assert(!(await root.files()).includes("./etc/apparmor.d/enroot.d"));
  });

  await t.step("the mount helper has its capability with +caps, and only then", async () => {
    assertEquals(await granted(), "");
    await install("enroot+caps");
    assertEquals(await granted(), capability);
    await root.run(["dpkg", "--install", `/root/${deb("enroot")}`]);
    assertEquals(await granted(), capability, "after the helper was replaced");
    await apt("remove", "enroot+caps");
    assertEquals(await granted(), "");
  });

  await t.step("an upgrade keeps what was edited, and brings what was not", async () => {
    const conf = `${root.path}/etc/enroot/enroot.conf`;
    await Deno.writeTextFile(conf, "ENROOT_LOGIN_SHELL no\n");
    const path = await makeNext(`${dist}/${deb("enroot")}`, `${work}/next`);
    await Deno.copyFile(path, `${root.path}/root/next.deb`);
    await apt("install", "/root/next.deb");
    assertStringIncludes(await root.run(["dpkg", "--status", "enroot"]), `Version: ${next}\n`);
    assertEquals(await Deno.readTextFile(conf), "ENROOT_LOGIN_SHELL no\n");
    const other = `${root.path}/etc/enroot/environ.d/10-terminal.env`;
    assertEquals(await Deno.readTextFile(other), "TERM=next\n");
    assertEquals((await payloads()).length, 1);
    assertEquals(await asUser("enroot start box echo still"), "still\n");
  });

  await t.step("a payload that is not whole says what to do", async () => {
    const [name] = await payloads();
    const path = `${root.path}/usr/libexec/enroot/payload/${name}/main.js`;
    await Deno.rename(path, `${path}.away`);
    const { code, stderr } = await root.asUser("enroot version");
    await Deno.rename(`${path}.away`, path);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^\[ERROR\] the files of \/usr\/bin\/enroot are missing, .*: install it again\n$/,
    );
  });

  await t.step("the flavours cannot be mixed", async () => {
    const refused = async (name: string, why: RegExp): Promise<void> => {
      const { code, stdout, stderr } = await root.attempt([
        "dpkg",
        "--install",
        `/root/${deb(name)}`,
      ]);
      assert(code !== 0, name);
      assertMatch(`${stdout}${stderr}`, why);
    };
    const installed = async (): Promise<string> => {
      const format = "--showformat=${db:Status-Abbrev}${Package}\n";
      return (await root.run(["dpkg-query", "--show", format, "enroot*"])).replaceAll(
        /^.n .*\n/gm,
        "",
      );
    };
    await install("enroot", "enroot+caps");
    await refused("enroot-hardened", /enroot\+caps depends on enroot/);
    await refused("enroot-hardened+caps", /conflicting packages/);
    await install("enroot-hardened");
    assertEquals(await installed(), "rc enroot\nii enroot-hardened\n");
    await refused("enroot+caps", /conflicting packages/);
    assertEquals(await installed(), "rc enroot\nii enroot-hardened\n");
  });

  await t.step("the hardened flavour keeps the settings, and passes no descriptor", async () => {
    const conf = `${root.path}/etc/enroot/enroot.conf`;
    assertEquals(await Deno.readTextFile(conf), "ENROOT_LOGIN_SHELL no\n");
    assertEquals(await asUser("enroot start box echo it runs"), "it runs\n");
    assertEquals((await asUser(openFile)).includes("9\n"), false);
    assertEquals(await granted(), "");
    await install("enroot-hardened+caps");
    assertEquals(await granted(), capability);
  });

  await t.step("purge leaves nothing", async () => {
    await apt("purge", "enroot*");
    const mine = `./home/${root.user}/`;
    const after = (await root.files()).filter((path) =>
      !path.startsWith(mine) && !/^\.\/root\/.*\.deb$/.test(path)
    );
    assertEquals(
      after,
      before.filter((path) => !path.startsWith(mine) && !/^\.\/root\/.*\.deb$/.test(path)),
    );
  });
}
