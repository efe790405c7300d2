import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HookBed } from "./hook_bed.ts";

const nvidia = "hooks.d/98-nvidia.sh";
const mellanox = "hooks.d/99-mellanox.sh";

/** A machine with the driver: its file is a mount over one that is always there. */
const driver = `mkdir "$top/driver.$$"; echo 550 > "$top/driver.$$/version"; ` +
  `mount -t tmpfs none /proc/driver; mkdir /proc/driver/nvidia; echo 550 > /proc/driver/nvidia/version`;
const noDriver = "mount -t tmpfs none /proc/driver";

function withCli(bed: HookBed, status = 0): void {
  bed.program("nvidia-container-cli", `printf '%s\\n' "$@" > "${bed.path}/said"; exit ${status}`);
  bed.program("ldconfig.real", "exit 1");
}

Deno.test("nvidia: without GPUs asked for, nothing is run", async () => {
  await using bed = new HookBed();
  withCli(bed);
  bed.program("enroot", `touch "${bed.path}/said"`);
  for (
    const [environ, env] of [
      ["", {}],
      ["OTHER=NVIDIA_VISIBLE_DEVICES\n", {}],
      ["NVIDIA_VISIBLE_DEVICES=void\n", {}],
      ["NVIDIA_VISIBLE_DEVICES=\n", {}],
      ["NVIDIA_VISIBLE_DEVICES=all\n", { NVIDIA_VISIBLE_DEVICES: "void" }],
      ["NVIDIA_VISIBLE_DEVICES=all\n", { NVIDIA_VISIBLE_DEVICES: "" }],
      ["NVIDIA_VISIBLE_DEVICES=all\nNVIDIA_VISIBLE_DEVICES=void\n", {}],
    ] as const
  ) {
    const { code, stderr } = await bed.run(nvidia, { environ, env, before: driver });
    assertEquals([environ, code, stderr], [environ, 0, ""]);
    assertEquals([...Deno.readDirSync(bed.path)].some(({ name }) => name === "said"), false);
  }
});

Deno.test("nvidia-container-cli is asked for the devices and capabilities that variables name", async () => {
  for (
    const [environ, env, wanted, unwanted] of [
      [
        "NVIDIA_VISIBLE_DEVICES=all\nNVIDIA_REQUIRE_CUDA=cuda>=12.2 brand=tesla,driver>=525\n",
        {},
        ["--device=all", "--compute", "--utility", "--no-devbind", "--no-cgroups", "--user"],
        ["--graphics", "--mig-config=all"],
      ],
      [
        "NVIDIA_VISIBLE_DEVICES=all\n",
        { NVIDIA_VISIBLE_DEVICES: "0,GPU-1", NVIDIA_DRIVER_CAPABILITIES: "video,ngx" },
        ["--device=0,GPU-1", "--video", "--ngx"],
        ["--compute", "--utility", "--device=all"],
      ],
      [
        "NVIDIA_VISIBLE_DEVICES=none\nNVIDIA_DRIVER_CAPABILITIES=all\n",
        {},
        ["--compute", "--compat32", "--display", "--graphics", "--ngx", "--utility", "--video"],
        ["--device=none"],
      ],
      [
        "NVIDIA_VISIBLE_DEVICES=0:1\nNVIDIA_MIG_CONFIG_DEVICES=all\nNVIDIA_MIG_MONITOR_DEVICES=0\n" +
        "NVIDIA_IMEX_CHANNELS=0\n",
        { ENROOT_RESTRICT_DEV: "y" },
        ["--device=0:1", "--mig-config=all", "--mig-monitor=0", "--imex-channel=0"],
        ["--no-devbind"],
      ],
      ["NVIDIA_VISIBLE_DEVICES=0\n", { ENROOT_UNSHARE_IPC: "yes" }, ["--device=0"], [
        "--no-devbind",
      ]],
    ] as const
  ) {
    await using bed = new HookBed();
    withCli(bed);
    const { code, stderr } = await bed.run(nvidia, { environ, env, before: driver });
    assertEquals([code, stderr], [0, ""]);
    const said = bed.read("said").trimEnd().split("\n");
    for (const word of wanted) assert(said.includes(word), `${word} in ${said.join(" ")}`);
    for (const word of unwanted) assert(!said.includes(word), `${word} in ${said.join(" ")}`);
    assertEquals(said.slice(0, 2), ["--user", "configure"]);
    assertEquals(said.at(-1), bed.rootfs);
    assert(said.includes(`--ldconfig=@${bed.path}/bin/ldconfig.real`));
    assertEquals(
      said.includes("--require=cuda>=12.2 brand=tesla,driver>=525"),
      environ.includes("REQUIRE"),
    );
  }
});

Deno.test("nvidia: requirements can be turned off, and a value is never more than one argument", async () => {
  await using bed = new HookBed();
  withCli(bed);
  const environ = "NVIDIA_VISIBLE_DEVICES=0 --load-kmods $(touch x)\n" +
    "NVIDIA_REQUIRE_CUDA=cuda>=99\nNVIDIA_DISABLE_REQUIRE=true\n";
  await bed.run(nvidia, { environ, before: driver });
  const said = bed.read("said").trimEnd().split("\n");
  assert(said.includes("--device=0 --load-kmods $(touch x)"));
  assertEquals(said.filter((word) => word.startsWith("--require")), []);
});

Deno.test("nvidia: what fails says what is missing and what to do", async () => {
  await using bed = new HookBed();
  withCli(bed, 3);
  const failed = await bed.run(nvidia, { environ: "NVIDIA_VISIBLE_DEVICES=7\n", before: driver });
  assertEquals(failed.code, 1);
  assertMatch(failed.stderr, /NVIDIA_VISIBLE_DEVICES=7: see what 'nvidia-container-cli info' says/);
  const absent = await bed.run(nvidia, { environ: "NVIDIA_VISIBLE_DEVICES=7\n", before: noDriver });
  assertEquals(absent.code, 1);
  assertMatch(absent.stderr, /\/proc\/driver\/nvidia\/version is missing: load the kernel module/);
  // An image that would take any GPU starts where there is none.
  const any = await bed.run(nvidia, { environ: "NVIDIA_VISIBLE_DEVICES=all\n", before: noDriver });
  assertEquals(any.code, 0);
  assertMatch(any.stderr, /^no GPU in the container/);
  const environ = "NVIDIA_VISIBLE_DEVICES=0\nNVIDIA_DRIVER_CAPABILITIES=compute,magic\n";
  const unknown = await bed.run(nvidia, { environ, before: driver });
  assertEquals(unknown.code, 1);
  assertMatch(unknown.stderr, /'magic' is not known/);
});

Deno.test("nvidia: without nvidia-container-cli the CDI specifications are asked", async () => {
  await using bed = new HookBed();
  bed.program("enroot", `printf '%s\\n' "$@" > "${bed.path}/said"; exit 4`);
  const { code } = await bed.run(nvidia, { environ: "NVIDIA_VISIBLE_DEVICES=0,1\n" });
  assertEquals(code, 4);
  assertEquals(bed.read("said"), "internal-cdi\nnvidia.com/gpu\n0,1\n");
});

/** A machine with adapters; the last one is of another vendor. */
const adapters = `mount -t tmpfs none /sys/class; mount -t tmpfs none /dev; : > /dev/null;
  mkdir -p /dev/infiniband; : > /dev/infiniband/rdma_cm; n=0;
  for name in mlx5_0:0x15b3 mlx5_1:0x15b3 irdma0:0x8086; do
    pci="/sys/class/pci/0000:0$n:00.0";
    mkdir -p "$pci/infiniband_verbs/uverbs$n" "$pci/infiniband_mad/umad$n" "$pci/infiniband_mad/issm$n";
    echo "\${name#*:}" > "$pci/vendor"; mkdir -p "/sys/class/infiniband/\${name%:*}";
    ln -s "$pci" "/sys/class/infiniband/\${name%:*}/device";
    for node in uverbs umad issm; do : > "/dev/infiniband/$node$n"; done;
    n=$((n + 1));
  done`;

Deno.test("mellanox: the devices of the adapters that are named by number, name or address", async () => {
  const nodesOf = (...numbers: number[]): string[] =>
    numbers.flatMap((number) => ["uverbs", "umad", "issm"].map((kind) => `${kind}${number}`));
  for (
    const [devices, nodes] of [
      ["all", nodesOf(0, 1)],
      ["0", nodesOf(0)],
      ["mlx5_1", nodesOf(1)],
      ["1,0", nodesOf(1, 0)],
      ["0000:01:00.0", nodesOf(1)],
      ["01:00.0", nodesOf(1)],
    ] as const
  ) {
    await using bed = new HookBed();
    const environ = `A=b\nMELLANOX_VISIBLE_DEVICES=7\nMELLANOX_VISIBLE_DEVICES=${devices}\n`;
    const { code, stderr, mounts } = await bed.run(mellanox, { environ, before: adapters });
    assertEquals([devices, code, stderr], [devices, 0, ""]);
    assertEquals(
      mounts,
      ["rdma_cm", ...nodes].map((name) =>
        `/dev/infiniband/${name} /dev/infiniband/${name} none x-create=file,bind,nosuid,noexec`
      ),
    );
  }
});

Deno.test("mellanox: nothing is done without being asked, and what fails says why", async () => {
  await using bed = new HookBed();
  for (const devices of ["void", "none", ""]) {
    const environ = `MELLANOX_VISIBLE_DEVICES=${devices}\n`;
    const { code, mounts } = await bed.run(mellanox, { environ, before: adapters });
    assertEquals([code, mounts], [0, []]);
  }
  const run = (devices: string, before: string): ReturnType<HookBed["run"]> =>
    bed.run(mellanox, { env: { MELLANOX_VISIBLE_DEVICES: devices }, before });
  for (const devices of ["2", "mlx5_9", "irdma0", "00.0", "0,,1", "*"]) {
    const { code, stderr } = await run(devices, adapters);
    assertEquals([devices, code], [devices, 1]);
    assertStringIncludes(stderr, "among mlx5_0 mlx5_1");
  }
  const missing = await run("0", `${adapters}; rm /dev/infiniband/umad0`);
  // It is not in what the kernel says of the adapter, or it is, and then it is missing.
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /\/dev\/infiniband\/umad0 is missing: load the kernel modules/);
  const none = "mount -t tmpfs none /sys/class";
  assertEquals((await run("all", none)).code, 0);
  const absent = await run("0", none);
  assertEquals(absent.code, 1);
  assertMatch(absent.stderr, /load the kernel module mlx5_ib/);
});
