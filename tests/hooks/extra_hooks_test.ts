import { assertEquals, assertMatch } from "@std/assert";
import { HookBed } from "./hook_bed.ts";

const step = { SLURM_JOB_ID: "12", SLURM_STEP_ID: "3", SLURM_JOB_UID: "1000" };

Deno.test("slurm-pmi: variables of the step and of PMI go into the container, whole lines only", async () => {
  await using bed = new HookBed();
  const env = { ...step, PMI_FD: "7", PMI2_X: "a b", SLURM_ODD: "a\nLD_PRELOAD=/x", OTHER: "no" };
  const { code, added, mounts } = await bed.run("hooks.extra.d/50-slurm-pmi.sh", { env });
  assertEquals([code, mounts], [0, []]);
  assertEquals(added.toSorted(), [
    "PMI2_X=a b",
    "PMI_FD=7",
    "SLURM_JOB_ID=12",
    "SLURM_JOB_UID=1000",
    "SLURM_STEP_ID=3",
  ]);
});

Deno.test("slurm-pmi: PMIx gets its folders and the names that its library reads", async () => {
  await using bed = new HookBed();
  const server = `${bed.path}/server`;
  for (const folder of [server, `${bed.path}/spmix_appdir_1000_12.3`]) await Deno.mkdir(folder);
  const env = {
    ...step,
    SLURM_MPI_TYPE: "pmix_v4",
    PMIX_RANK: "0",
    PMIX_SERVER_TMPDIR: server,
    PMIX_SYSTEM_TMPDIR: bed.path,
    PMIX_SECURITY_MODE: "native",
    PMIX_GDS_MODULE: "hash",
    PMIX_MCA_gds: "ds21",
  };
  const { added, mounts } = await bed.run("hooks.extra.d/50-slurm-pmi.sh", { env });
  assertEquals(
    added.filter((line) => line.startsWith("PMIX_MCA_")).toSorted(),
    ["PMIX_MCA_gds=ds21", "PMIX_MCA_psec=native"],
  );
  assertEquals(mounts.map((line) => line.split(" ")[0]), [
    `${bed.path}/spmix_appdir_1000_12.3`,
    server,
  ]);
  const other = await bed.run("hooks.extra.d/50-slurm-pmi.sh", {
    env: { ...env, SLURM_MPI_TYPE: "pmi2" },
  });
  assertEquals(other.mounts, []);
});

Deno.test("slurm-pytorch: tasks find each other, by the first host and one port a step", async () => {
  await using bed = new HookBed();
  const hook = "hooks.extra.d/50-slurm-pytorch.sh";
  const env = {
    ...step,
    SLURM_STEP_NODELIST: "node[1-2]",
    SLURM_PROCID: "3",
    SLURM_LOCALID: "1",
    SLURM_STEP_NUM_TASKS: "4",
  };
  bed.program("scontrol", '[ "$*" = "show hostnames node[1-2]" ] && printf "node1\\nnode2\\n"');
  const { code, added } = await bed.run(hook, { env, environ: "PYTORCH_VERSION=2\n" });
  assertEquals(code, 0);
  assertEquals(added.toSorted(), [
    "LOCAL_RANK=1",
    "MASTER_ADDR=node1",
    "MASTER_PORT=20123",
    "RANK=3",
    "WORLD_SIZE=4",
  ]);
  assertEquals((await bed.run(hook, { env, environ: "A=b\n" })).added, []);
  const environ = "PYTORCH_VERSION=2\nMASTER_ADDR=x\nMASTER_PORT=1\nRANK=9\n";
  assertEquals((await bed.run(hook, { env, environ })).added.toSorted(), [
    "LOCAL_RANK=1",
    "WORLD_SIZE=4",
  ]);
  bed.program("scontrol", "exit 1");
  const failed = await bed.run(hook, { env, environ: "PYTORCH_VERSION=2\n" });
  assertEquals(failed.code, 1);
  assertMatch(failed.stderr, /set MASTER_ADDR/);
});

Deno.test("mig-config: only whole GPUs in MIG mode", async () => {
  await using bed = new HookBed();
  const hook = "hooks.extra.d/50-mig-config.sh";
  bed.program("nvidia-smi", `echo "$@" >> "${bed.path}/said"; echo Disabled; echo Enabled`);
  for (const devices of ["void", "none", "MIG-1", "0:1", ""]) {
    const environ = `NVIDIA_VISIBLE_DEVICES=${devices}\n`;
    assertEquals((await bed.run(hook, { environ })).added, []);
  }
  for (const devices of ["all", "0,1"]) {
    const { added } = await bed.run(hook, { env: { NVIDIA_VISIBLE_DEVICES: devices } });
    assertEquals(added, ["NVIDIA_MIG_CONFIG_DEVICES=all"]);
  }
  assertEquals(bed.read("said").split("\n").map((line) => / -i 0,1$/.test(line)), [
    false,
    true,
    false,
  ]);
});

/** A process that listens on a socket without a file, until it is disposed of. */
async function listening(name: string): Promise<AsyncDisposable> {
  const text = "import socket, sys; s = socket.socket(socket.AF_UNIX); " +
    "s.bind('\\0' + sys.argv[1]); s.listen(); print('up', flush=True); sys.stdin.read()";
  const child = new Deno.Command("/usr/bin/python3", {
    args: ["-c", text, name],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  assertEquals((await reader.read()).done, false);
  return {
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      await child.stdin.close();
      await child.status;
    },
  };
}

Deno.test("sharp: the socket of the job's daemon", async () => {
  await using bed = new HookBed();
  const run = async (devices: string, environ = ""): Promise<readonly string[]> => {
    const env = { MELLANOX_VISIBLE_DEVICES: devices, SLURM_STEP_NUM_NODES: "2" };
    return (await bed.run("hooks.extra.d/50-sharp.sh", { environ, env })).added;
  };
  assertEquals(await run("all"), []);
  const name = `sharpd_zenroot_test_${Deno.pid}`;
  await using _daemon = await listening(name);
  assertEquals(await run("all", "NCCL_COLLNET_ENABLE=0\n"), [
    `SHARP_COLL_SHARPD_SOCKET_NAME=${name}`,
    "SHARP_COLL_LOCK_ON_COMM_INIT=1",
    "SHARP_COLL_NUM_COLL_GROUP_RESOURCE_ALLOC_THRESHOLD=0",
    "NCCL_SHARP_GROUP_SIZE_THRESH=2",
  ]);
  assertEquals(await run("void"), []);
});
