import { assertEquals, assertMatch } from "@std/assert";
import { checkKernel, userNamespaceRemedy } from "./kernel.ts";

Deno.test("kernels from 5.6 on are new enough, however their names go on", () => {
  for (
    const [release, status] of [
      ["5.5.19", "fail"],
      ["4.18.0-553.el8_10.x86_64", "fail"],
      ["5.6.0", "ok"],
      ["5.14.0-503.el9.x86_64", "ok"],
      ["6.1-rc3", "ok"],
      ["10.0", "ok"],
      ["unknown", "fail"],
    ] as const
  ) assertEquals([release, checkKernel(false, release).status], [release, status]);
  assertEquals(checkKernel(true, "5.7.19").remedy, "install Linux 5.8 or newer");
  assertEquals(checkKernel(true, "5.8.0").status, "ok");
});

Deno.test("what turns user namespaces off is named with what turns them on", () => {
  const remedyOf = (name: string, value: string): string =>
    userNamespaceRemedy((path) => path === `/proc/sys/${name}` ? value : undefined);
  for (
    const [name, off, on] of [
      ["user/max_user_namespaces", "0\n", "15000\n"],
      ["user/max_mnt_namespaces", "0\n", "7\n"],
      ["kernel/unprivileged_userns_clone", "0\n", "1\n"],
      ["kernel/apparmor_restrict_unprivileged_userns", "1\n", "0\n"],
    ] as const
  ) {
    assertMatch(remedyOf(name, off), new RegExp(`sysctl -w ${name.replace("/", "\\.")}=`));
    assertMatch(remedyOf(name, on), /seccomp/);
  }
});
