import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseFstab } from "../../lib/runtime/fstab.ts";
import { attempt } from "../support/command.ts";
import { HookBed, type HookRun } from "./hook_bed.ts";

const top = new URL("../../packaging/etc/", import.meta.url).pathname;
const folders = ["hooks.d", "hooks.extra.d"];

function hooksIn(folder: string): string[] {
  return [...Deno.readDirSync(`${top}${folder}`)].map(({ name }) => `${folder}/${name}`).sort();
}

Deno.test("every hook is a program that shellcheck finds nothing in", async () => {
  const all = folders.flatMap(hooksIn);
  assert(all.length >= 11);
  for (const hook of all) {
    assertMatch(hook, /\/\d\d-[a-z-]+\.sh$/);
    assert(((await Deno.stat(`${top}${hook}`)).mode ?? 0) & 0o111, hook);
  }
  const { stdout } = await attempt(["shellcheck", ...all.map((hook) => `${top}${hook}`)]);
  assertEquals(stdout, "");
});

Deno.test("hooks that have nothing to do say nothing and ask for nothing", async () => {
  await using bed = new HookBed();
  for (const hook of folders.flatMap(hooksIn)) {
    if (/cgroups|localtime/.test(hook)) continue;
    const { code, stdout, stderr, mounts, added } = await bed.run(hook, { environ: "A=b\n" });
    assertEquals([hook, code, stdout, stderr, mounts, added], [hook, 0, "", "", [], []]);
  }
});

Deno.test("apt keeps root where root is the only user", async () => {
  await using bed = new HookBed();
  const hook = "hooks.d/10-aptfix.sh";
  bed.write("rootfs/etc/apt/apt.conf.d/01");
  const [line = ""] = (await bed.run(hook)).mounts;
  const [entry] = parseFstab(line, { ENROOT_WORKDIR: `${bed.path}/work` }, "line");
  assertEquals(entry?.target, "/etc/apt/apt.conf.d/99enroot");
  assertEquals(await Deno.readTextFile(entry?.source ?? ""), 'APT::Sandbox::User "root";\n');
  if (Deno.uid() !== 0) assertEquals((await bed.run(hook, { root: false })).mounts, []);
  // A container without apt.
  await Deno.remove(`${bed.rootfs}/etc/apt`, { recursive: true });
  assertEquals((await bed.run(hook)).mounts, []);
});

/** A machine with these hierarchies, whose caller is in these cgroups. */
function cgroupsOf(folders: readonly string[], lines: string): string {
  const made = folders.map((folder) => `mkdir -p "/sys/fs/cgroup/${folder}"`).join("; ");
  return `mount -t tmpfs none /sys/fs/cgroup; ${made}; printf '${lines}' > "$top/cgroup"; ` +
    `mount --bind "$top/cgroup" /proc/$$/cgroup`;
}

Deno.test("cgroups: the caller's own, read-only, of every version", async () => {
  for (
    const [folders, lines, expected] of [
      [["job/step"], "0::/job/step\\n", ["job/step "]],
      [["memory/job", "cpu,cpuacct/job"], "5:memory:/job\\n4:cpu,cpuacct:/job\\n", [
        "memory/job /sys/fs/cgroup/memory",
        "cpu,cpuacct/job /sys/fs/cgroup/cpu,cpuacct",
      ]],
      [["systemd/a", "unified/a"], "1:name=systemd:/a\\n0::/a\\n", [
        "systemd/a /sys/fs/cgroup/systemd",
        "unified/a /sys/fs/cgroup/unified",
      ]],
      // What cannot be seen, or would break the line: the hierarchy as a whole.
      [["memory"], "5:memory:/gone\\n", ["memory /sys/fs/cgroup/memory"]],
      [["memory/x y"], "5:memory:/x y\\n", ["memory /sys/fs/cgroup/memory"]],
      [["memory/a"], "5:memory:/../..\\n", ["memory /sys/fs/cgroup/memory"]],
      // A controller that is not mounted.
      [["memory/a"], "5:memory:/a\\n6:pids:/a\\n", ["memory/a /sys/fs/cgroup/memory"]],
    ] as const
  ) {
    await using bed = new HookBed();
    const isV2 = lines.startsWith("0::/job");
    const before = cgroupsOf(folders, lines) +
      (isV2 ? "; touch /sys/fs/cgroup/cgroup.controllers" : "");
    const { code, stderr, mounts } = await bed.run("hooks.d/10-cgroups.sh", { before });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(mounts.length, expected.length, mounts.join("\n"));
    for (const [index, start] of expected.entries()) {
      assertStringIncludes(mounts[index] ?? "", `/sys/fs/cgroup/${start}`);
      assertMatch(mounts[index] ?? "", /bind,ro,nosuid,nodev,noexec,nofail,silent$/);
    }
  }
});

Deno.test("devices: what every program expects, when it is asked for", async () => {
  await using bed = new HookBed();
  const hook = "hooks.d/10-devices.sh";
  bed.program(
    "enroot-mount",
    'printf "%s\\n" "$@" > "$ENROOT_WORKDIR/arguments"; cat > "$ENROOT_WORKDIR/lines"',
  );
  for (
    const [env, shm] of [
      [{ ENROOT_RESTRICT_DEV: "y" }, "/dev/shm"],
      [{ ENROOT_UNSHARE_IPC: "yes" }, "tmpfs"],
      [{ ENROOT_RESTRICT_DEV: "true", ENROOT_UNSHARE_IPC: "1" }, "tmpfs"],
    ] as const
  ) {
    const { code, stderr } = await bed.run(hook, { env });
    assertEquals([code, stderr], [0, ""]);
    assertEquals(bed.read("work/arguments"), `--root\n${bed.rootfs}\n-\n`);
    const entries = parseFstab(bed.read("work/lines"), { ENROOT_WORKDIR: "/work" }, "lines");
    assertEquals([entries[0]?.source, entries[0]?.target], ["/work/dev", "/dev"]);
    const targets = entries.map(({ target }) => target);
    for (const name of ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm"]) {
      assert(targets.includes(`/dev/${name}`), name);
    }
    assertEquals(entries.find(({ target }) => target === "/dev/shm")?.source, shm);
    assertEquals(Deno.readLinkSync(`${bed.path}/work/dev/stdin`), "/proc/self/fd/0");
  }
  for (const off of ["n", "no", "N", "NO", "false", "FALSE", "f", ""]) {
    await bed.run(hook, { env: { ENROOT_RESTRICT_DEV: off, ENROOT_UNSHARE_IPC: off } });
    assertEquals([...Deno.readDirSync(`${bed.path}/work`)], []);
  }
});

Deno.test("home: mounted where it is outside, whatever it is called", async () => {
  await using bed = new HookBed();
  const hook = "hooks.d/10-home.sh";
  for (const name of ["ada", "ada b\\c\t#d"]) {
    const home = `${bed.path}/${name}`;
    await Deno.mkdir(home);
    const env = { ENROOT_MOUNT_HOME: "y", HOME: home };
    const { code, mounts, added } = await bed.run(hook, { env });
    const [entry] = parseFstab(mounts.join("\n"), {}, "lines");
    assertEquals([code, entry?.source, entry?.target], [0, home, home]);
    assertEquals(added, [`HOME=${home}`]);
  }
  for (const HOME of [`${bed.path}/gone`, ""]) {
    bed.program("getent", "exit 2");
    const { code, stderr } = await bed.run(hook, { env: { ENROOT_MOUNT_HOME: "y", HOME } });
    assertEquals(code, 1);
    assertMatch(stderr, /turn ENROOT_MOUNT_HOME off/);
  }
});

Deno.test("time zone: the host's file, or its name where the container has a link", async () => {
  const hook = "hooks.d/10-localtime.sh";
  const before = "mount -t tmpfs none /usr/share/zoneinfo; mkdir /usr/share/zoneinfo/Europe; " +
    "echo zone > /usr/share/zoneinfo/Europe/Berlin; mount -t tmpfs none /etc; " +
    "ln -s /usr/share/zoneinfo/Europe/Berlin /etc/localtime";
  {
    await using bed = new HookBed();
    const { code, mounts, added } = await bed.run(hook, { before });
    assertEquals([code, added], [0, []]);
    assertMatch(mounts[0] ?? "", /^\/etc\/localtime \/etc\/localtime none x-create=file,bind,ro/);
  }
  for (
    const [has, own, environ, expected] of [
      ["Europe/Berlin", "../usr/share/zoneinfo/Etc/UTC", "", ["TZ=Europe/Berlin"]],
      ["Europe/Berlin", "/usr/share/zoneinfo/Asia/Tokyo", "", ["TZ=Europe/Berlin"]],
      ["Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", "", []],
      ["Europe/Berlin", "/usr/share/zoneinfo/Etc/UTC", "TZ=UTC\n", []],
      ["Etc/UTC", "/usr/share/zoneinfo/Etc/UTC", "", []],
    ] as const
  ) {
    await using bed = new HookBed();
    bed.write(`rootfs/usr/share/zoneinfo/${has}`);
    await Deno.symlink(own, `${bed.rootfs}/etc/localtime`);
    const { code, stderr, mounts, added } = await bed.run(hook, { before, environ });
    assertEquals([code, stderr, mounts, added], [0, "", [], [...expected]]);
  }
});

Deno.test("a rootfs whose links lead outside changes nothing there", async () => {
  await using bed = new HookBed();
  bed.write("outside/apt.conf.d/keep", "kept");
  await Deno.symlink(`${bed.path}/outside`, `${bed.rootfs}/etc/apt`);
  await Deno.symlink(`${bed.path}/outside/localtime`, `${bed.rootfs}/etc/localtime`);
  const run = (hook: string, options: HookRun = {}): Promise<unknown> => bed.run(hook, options);
  for (const hook of hooksIn("hooks.d")) await run(hook);
  // Targets are given to whoever mounts as paths of the container, which resolves them there.
  assertEquals([...Deno.readDirSync(`${bed.path}/outside`)].map(({ name }) => name), [
    "apt.conf.d",
  ]);
  assertEquals(
    [...Deno.readDirSync(`${bed.path}/outside/apt.conf.d`)].map(({ name }) => name),
    ["keep"],
  );
});
