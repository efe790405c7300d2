import { assertEquals } from "@std/assert";
import { users } from "../support/bed.ts";
import { Box } from "../support/box.ts";
import { attempt } from "../support/command.ts";

const client = new URL("../support/pyxis.pl", import.meta.url).pathname;

for (const user of users) {
  Deno.test(`a container as pyxis starts and joins it, as ${user}`, async () => {
    await using box = await Box.make(user);
    const { bed } = box;
    await Deno.writeTextFile(`${box.root}/mark`, "inside\n");
    await bed.own();
    const conf = await box.file(
      "conf",
      'environ() { echo FROM_CONF=1; }\nmounts() { echo "/tmp /mnt none x-create=dir,bind"; }\n' +
        'rc() { if [ $# -gt 0 ]; then exec "$@"; fi; exec /bin/sh; }\n',
    );
    // A job has no home and no session.
    const env = {
      PATH: "/usr/bin:/bin",
      SLURM_JOB_ID: "7",
      ENROOT_DATA_PATH: bed.data,
      ENROOT_RUNTIME_PATH: `${bed.runtime}/job`,
      ENROOT_TEMP_PATH: bed.temp,
      ENROOT_SYSCONF_PATH: bed.sysconf,
    };
    const argv = ["perl", client, bed.executable, String(bed.uid), conf, "box"];
    const { stdout, stderr, code } = await attempt(argv, { env, clearEnv: true, cwd: bed.work });
    assertEquals([code, stderr, stdout.split("\n")], [0, "", [
      "stopped",
      "user its own",
      "mnt its own",
      "cgroup its own",
      "variable FROM_CONF=1",
      "inside",
      "/",
      "joined 0",
      "listed box as it is",
      "ended 0",
      "",
    ]]);
  });
}
