/**
 * What an administrator does with the packages, in a Debian of its own.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { run } from "./command.ts";
import { makeBusyboxImage } from "./busybox_image.ts";
import type { DebianRoot } from "./debian_root.ts";
import manifest from "../../deno.json" with { type: "json" };

const { version } = manifest;
const architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const next = `${version}+next`;
const helper = "/usr/libexec/enroot/enroot-zfs-mount";
const capability = `${helper} cap_sys_admin=ep\n`;
/** A package as its next version: one configuration file is another one in it. */
async function makeNext(deb: string, work: string): Promise<void> {
  await run(["dpkg-deb", "--raw-extract", deb, work]);
  for (const name of ["control", "conffiles"]) await Deno.stat(`${work}/DEBIAN/${name}`);
  const control = await Deno.readTextFile(`${work}/DEBIAN/control`);
  await Deno.writeTextFile(
    `${work}/DEBIAN/control`,
    control.replace(/^Version: .*$/m, `Version: ${next}`),
  );
  await Deno.writeTextFile(`${work}/etc/enroot/environ.d/10-terminal.env`, "TERM=next\n");
  await run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", work, `${work}.deb`]);
  await Deno.remove(work, { recursive: true });
}

/** Install, use, upgrade, exchange and remove the packages of a folder in a Debian, which is as before then. */
export async function testInstalled(
  t: Deno.TestContext,
  root: DebianRoot,
  dist: string,
): Promise<void> {
  const deb = (name: string): string => `${name}_${version}_${architecture}.deb`;
  const apt = (...args: string[]): Promise<string> =>
    root.run([
      ...["apt-get", "-o", "Acquire::Check-Valid-Until=false", "--yes", "--allow-downgrades"],
      ...["--quiet", ...args],
    ]);
  const install = (...names: string[]): Promise<string> =>
    apt("install", "--no-install-recommends", ...names.map((name) => `/root/${deb(name)}`));
  await apt("update");
  const others = ["libcap2-bin", "squashfs-tools", "apparmor", "rpm"];
  await apt("install", "--no-install-recommends", ...others);
  await run(["sh", "-c", 'cp "$1"/*.deb "$2"', "sh", dist, `${root.path}/root`]);
  await makeBusyboxImage(`${root.path}/srv/image`, "latest");
  await run(["chmod", "-R", "a+rX", `${root.path}/srv/image`]);
  const before = await root.files();
  const granted = (): Promise<string> => root.run(["getcap", helper]);
  const payloads = async (): Promise<string[]> =>
    (await Array.fromAsync(Deno.readDir(`${root.path}/usr/libexec/enroot/payload`)))
      .map(({ name }) => name);
  const asUser = (script: string): Promise<string> => root.succeedAsUser(script);
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

  await t.step("AppArmor has the rule for user namespaces where its parser knows it", async () => {
    const rules = `${root.path}/etc/apparmor.d/enroot.d/rules`;
    const parse = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--debug"];
    const parsed = await root.run([...parse, "/etc/apparmor.d/enroot"]);
    assertMatch(parsed, /^Name:\s+enroot$/m);
    const abi = `${root.path}/etc/apparmor.d/abi/4.0`;
    if (root.suite === "trixie") {
      assertEquals(await Deno.readTextFile(rules), "userns,\n");
      // It is the parser that takes it: a rule that it does not know is an error.
      await Deno.writeTextFile(rules, "unknown,\n");
      assert((await root.attempt([...parse, "/etc/apparmor.d/enroot"])).code !== 0);
    } else {
      await assertRejects(() => Deno.stat(rules), Deno.errors.NotFound);
      await Deno.writeTextFile(abi, "");
    }
    const setUp = ["/usr/libexec/enroot/set-up", "apparmor"];
    await root.run(setUp);
    assertEquals(await Deno.readTextFile(rules), "userns,\n");
    assertEquals(await Deno.readTextFile(`${rules.slice(0, -5)}abi`), "abi <abi/4.0>,\n");
    if (root.suite === "trixie") return;
    await Deno.remove(abi);
    await root.run(setUp);
    assert(!(await root.files()).includes("./etc/apparmor.d/enroot.d"));
  });

  await t.step("pyxis finds its importer", async () => {
    const importer = "/usr/libexec/enroot/enroot-pyxis-importer";
    const env = "SLURM_JOB_ID=1 SLURM_STEP_ID=0 PYXIS_RUNTIME_PATH=~/pyxis";
    const path = (await asUser(`${env} ${importer} get oci:/srv/image:latest`)).trimEnd();
    assertMatch(path, /\/pyxis\/4242\/1\.0\.sqsh$/);
    await asUser(
      `enroot create --name job ${path} && enroot start job true && enroot remove -f job`,
    );
    await asUser(`${env} ${importer} release && ! test -e ${path} && rm -r ~/pyxis`);
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
    await makeNext(`${dist}/${deb("enroot")}`, `${root.path}/root/next`);
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
