import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";

interface Check {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly remedy?: string;
}

for (const user of users) {
  Deno.test(`check, as ${user}`, async (t) => {
    await using bed = await Bed.make(user);
    const checksOf = (text: string): Check[] => JSON.parse(text).checks;
    const find = (text: string, name: string): Check | undefined =>
      checksOf(text).find((check) => check.name === name);

    await t.step("this machine has what it takes, and nothing is left of the check", async () => {
      const before = await bed.contents();
      const text = await bed.succeed(["check", "--json"]);
      assertEquals(JSON.parse(text).ok, true);
      for (const name of ["kernel", "user namespaces", "mksquashfs", "data folder", "settings"]) {
        assertEquals([name, find(text, name)?.status], [name, "ok"]);
      }
      assertEquals(await bed.contents(), before);
    });

    await t.step("each line says how it is, and each bad one what to do", async () => {
      const env = { ENROOT_DATA_PATH: "/proc/enroot", ENROOT_MOUNTHOME: "y" };
      const { code, stdout, stderr } = await bed.enroot(["check"], { env });
      assertEquals([code, stderr], [1, ""]);
      const lines = stdout.trimEnd().split("\n");
      for (const [index, line] of lines.entries()) {
        assertMatch(line, /^(?:(?:ok|warn|fail) {2,4}\S.*: | {6}→ \S)/);
        const isBad = /^(?:warn|fail)/.test(line);
        assertEquals(isBad, lines[index + 1]?.startsWith("      → ") ?? false, line);
      }
      assertMatch(stdout, /^fail {2}data folder: \/proc.*\n {6}→ .*ENROOT_DATA_PATH/m);
      assertMatch(stdout, /^warn {2}settings: ENROOT_MOUNTHOME.*\n {6}→ write ENROOT_MOUNT_HOME$/m);
    });

    await t.step("where no user namespace can be made, the switch is named", async () => {
      // Limits of a user namespace count for those below it.
      const { code, stdout } = await bed.run([
        ...[
          "unshare",
          "--map-root-user",
          "--mount",
          "--pid",
          "--fork",
          "--mount-proc",
          "sh",
          "-ec",
        ],
        'echo 0 > /proc/sys/user/max_user_namespaces; exec "$0" check --json',
        bed.executable,
      ]);
      assertEquals(code, 1);
      assertEquals(JSON.parse(stdout).ok, false);
      const found = find(stdout, "user namespaces");
      assertEquals(found?.status, "fail");
      assertMatch(found?.remedy ?? "", /sysctl -w user\.max_user_namespaces=/);
    });

    await t.step("a configuration that cannot be read is a failure like others", async () => {
      const { code, stdout } = await bed.enroot(["check"], { env: { ENROOT_MAX_PROCESSORS: "x" } });
      assertEquals(code, 1);
      assertMatch(stdout, /^fail {2}configuration: ENROOT_MAX_PROCESSORS='x'/m);
    });

    await t.step("the zfs backend has checks of its own", async () => {
      const env = { ENROOT_STORAGE_BACKEND: "zfs" };
      const { code, stdout } = await bed.enroot(["check", "--json"], { env });
      assertEquals(code, 1);
      assertMatch(find(stdout, "store")?.remedy ?? "", /zfs create/);
      const helper = find(stdout, "enroot-zfs-mount");
      assertEquals(helper?.status, user === "root" ? undefined : "fail");
      if (helper !== undefined) assertMatch(helper.remedy ?? "", /enroot install-helper/);
    });

    await t.step("a registry is asked when it is named", async () => {
      await using server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => new Response("{}", { status: 401 }),
      );
      const host = `127.0.0.1:${server.addr.port}`;
      const text = await bed.succeed(["check", "--json", "--registry", host]);
      assertEquals(find(text, `registry ${host}`)?.status, "ok");
    });

    await t.step("'info --check' is the same", async () => {
      const names = (text: string): string[] => checksOf(text).map(({ name }) => name);
      assertEquals(
        names(await bed.succeed(["info", "--check", "--json"])),
        names(await bed.succeed(["check", "--json"])),
      );
    });

    await t.step("a wrong call shows the usage", async () => {
      const { code, stderr } = await bed.enroot(["check", "all"]);
      assertEquals(code, 1);
      assert(stderr.includes("Usage: enroot check"));
    });
  });
}
