import { users } from "../support/bed.ts";
import { cachedSampleImage } from "../support/cached_sample.ts";
import { run } from "../support/command.ts";
import { assertSameTree, describeTree } from "../support/tree.ts";
import { TestDataset, ZfsBed } from "../support/zfs_bed.ts";

for (const user of users) {
  Deno.test(`an image makes the same tree on ZFS as in a folder, as ${user}`, async () => {
    const sample = await cachedSampleImage();
    await using store = await ZfsBed.make(user);
    const { bed } = store;
    // The folder is on ZFS as well: a file system in memory may keep no user attributes.
    await using elsewhere = await TestDataset.make(bed.uid);
    await run(["cp", "-r", sample, `${bed.work}/layout`]);
    await bed.own();
    const data = `${elsewhere.path}/data`;
    await bed.succeed(["load", "-n", "loaded", "oci:layout:sample"], {
      env: { ENROOT_DATA_PATH: data },
    });
    await store.succeed(["load", "-n", "loaded", "oci:layout:sample"]);
    // The URI is noted in a container of its own, and not in a template that others share.
    const options = { owners: true, nanoseconds: true, without: ["etc/rc"] };
    assertSameTree(
      await describeTree(`${store.dataset.path}/loaded`, options),
      await describeTree(`${data}/loaded`, options),
      "the trees differ",
    );
    const rc = (path: string): Promise<string> => Deno.readTextFile(`${path}/loaded/etc/rc`);
    const [onZfs, inFolder] = [await rc(store.dataset.path), await rc(data)];
    if (onZfs !== inFolder.replace(/^# enroot-provenance: .*\n/m, "")) {
      throw new Error(`/etc/rc differs:\n${onZfs}\n${inFolder}`);
    }
  });
}
