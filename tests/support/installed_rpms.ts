/**
 * The RPM packages, installed by the rpm that a Debian has: their scripts run, only what they depend on has other
 * names there.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { run } from "./command.ts";
import type { DebianRoot } from "./debian_root.ts";
import manifest from "../../deno.json" with { type: "json" };

const { version } = manifest;
const helper = "/usr/libexec/enroot/enroot-zfs-mount";

/** Install, use and remove them in a Debian that has rpm and no enroot, and is as before then. */
export async function testInstalledRpms(
  t: Deno.TestContext,
  root: DebianRoot,
  dist: string,
): Promise<void> {
  const path = (name: string): string => `/root/${name}-${version}-1.${Deno.build.arch}.rpm`;
  const rpm = (...args: string[]): Promise<string> => root.run(["rpm", ...args]);
  await run(["sh", "-c", 'cp "$1"/*.rpm "$2"', "sh", dist, `${root.path}/root`]);
  // The image is there; what is left of the other packages' containers is not wanted.
  await root.succeedAsUser("chmod -R u+rwX ~/.local ; rm -rf ~/.local ~/.cache");
  await rpm("--initdb");
  const before = await root.files();

  await t.step("rpm installs, and a plain user has containers at once", async () => {
    await rpm("--install", "--nodeps", path("enroot"), path("enroot+caps"));
    assertEquals(await root.succeedAsUser("enroot version"), `${version}\n`);
    await root.succeedAsUser("enroot load --name rpm oci:/srv/image:latest");
    assertEquals(await root.succeedAsUser("enroot start rpm echo it runs"), "it runs\n");
    assertEquals(await root.run(["getcap", helper]), `${helper} cap_sys_admin=ep\n`);
    const [payload] = await Array.fromAsync(
      Deno.readDir(`${root.path}/usr/libexec/enroot/payload`),
    );
    const cache = `${root.path}/usr/libexec/enroot/payload/${payload?.name}/cache`;
    assert((await Deno.stat(`${cache}/v8_code_cache_v2`)).size > 100_000);
  });

  await t.step("rpm knows every file, and what an administrator edits", async () => {
    // That the helper has a capability is none of its business.
    assertEquals(await rpm("--verify", "--nodeps", "enroot"), "");
    const conf = `${root.path}/etc/enroot/enroot.conf`;
    await Deno.writeTextFile(conf, "ENROOT_LOGIN_SHELL no\n");
    await rpm("--upgrade", "--nodeps", "--replacepkgs", path("enroot"));
    assertEquals(await Deno.readTextFile(conf), "ENROOT_LOGIN_SHELL no\n");
    assertEquals(await root.run(["getcap", helper]), `${helper} cap_sys_admin=ep\n`);
  });

  await t.step("rpm does not mix the flavours", async () => {
    const refused = await root.attempt(["rpm", "--install", "--test", path("enroot-hardened")]);
    assert(refused.code !== 0);
    assertStringIncludes(refused.stderr, `enroot conflicts with enroot-hardened-${version}-1`);
  });

  await t.step("rpm takes away what it brought, and keeps what was edited", async () => {
    await rpm("--erase", "enroot+caps");
    assertEquals(await root.run(["getcap", helper]), "");
    const { code, stderr } = await root.attempt(["rpm", "--erase", "enroot"]);
    assertEquals(code, 0);
    assertMatch(stderr, /enroot\.conf saved as /);
    const kept = ["./etc/enroot", "./etc/enroot/enroot.conf.rpmsave"];
    const home = `./home/${root.user}/`;
    const after = (await root.files()).filter((each) => !kept.includes(each));
    const others = (paths: string[]): string[] => paths.filter((each) => !each.startsWith(home));
    assertEquals(others(after), others(before));
  });
}
