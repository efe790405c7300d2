import { assert, assertEquals } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { jobEnv, mark, pyxis, pyxisFindsThroughImporter, useImporter } from "../support/pyxis.ts";
import { startFaultProxy } from "../support/fault_proxy.ts";
import { startRegistry } from "../support/registry.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

for (const user of slowUsers) {
  Deno.test(`what pyxis does with the importer, on ZFS, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const proxy = stack.use(startFaultProxy(registry.port, () => undefined));
    const folder = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    await makeBusyboxImage(`${folder}/layout`, "x", { mark });
    await pushImage(`${folder}/layout`, "x", `127.0.0.1:${registry.port}/team/image:1`);
    const store = stack.use(await ZfsBed.make(user));
    const { bed } = store;
    const uri = `docker://${proxy.host}/team/image:1`;
    const { path, env: its } = await useImporter(bed);
    const env = { ...jobEnv(bed), ...its, ...store.env, SLURM_STEP_ID: "0" };

    await t.step("an image becomes a container through it, and the template stays", async () => {
      const { code, stdout, stderr } = await pyxis(bed, "pyxis_7.0", uri, env, path);
      const expected = pyxisFindsThroughImporter("pyxis_7.0", uri);
      assertEquals([code, stderr, stdout], [0, "", expected]);
      assertEquals((await store.dataset.contents()).filter((name) => /@/.test(name)).length, 1);
    });

    await t.step("what is in the store is a pointer at once, whatever the default is", async () => {
      const before = proxy.requests.length;
      const who = bed.uid === Deno.uid() ? {} : { uid: bed.uid, gid: bed.uid };
      const call = (...args: string[]) =>
        attempt([path, ...args], {
          env: { ...env, SLURM_JOB_ID: "8", ENROOT_ZFS_IMPORT_FORMAT: "squashfs" },
          ...{ clearEnv: true, cwd: bed.work, ...who },
        });
      const { code, stdout, stderr } = await call("get", uri);
      assertEquals([code, stdout], [0, `${bed.runtime}/pyxis/${bed.uid}/8.0.sqsh\n`], stderr);
      const pointer = await Deno.readTextFile(stdout.trimEnd());
      assert(pointer.startsWith("enroot-zfs-image:v1\n"), pointer.slice(0, 40));
      const asked = proxy.requests.slice(before).map(({ path }) => path);
      assert(asked.length > 0);
      assertEquals(asked.filter((path) => !path.endsWith("/manifests/1")), []);
      for (let times = 0; times < 2; times++) assertEquals((await call("release")).code, 0);
      assertEquals([...Deno.readDirSync(`${bed.runtime}/pyxis/${bed.uid}`)], []);
    });
  });
}
