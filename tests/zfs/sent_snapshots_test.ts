import { assertEquals } from "@std/assert";
import { newSnapshotName, prefixes } from "../../lib/storage/zfs/sent_snapshots.ts";
import { ZfsStore } from "../../lib/storage/zfs/zfs_store.ts";
import { childOf, parseDatasetName } from "../../lib/zfs/dataset.ts";
import { TestDataset, zfs } from "../support/zfs_bed.ts";

Deno.test("of snapshots whose senders were killed a sweep takes those that nothing can go on from", async () => {
  await using dataset = await TestDataset.make();
  const store = new ZfsStore(dataset.path, {
    warn(message) {
      throw new Error(message);
    },
  });
  const { layout } = store.parts;
  await zfs("create", "-u", `${dataset.name}/box`);
  layout.locks.write("layout", "");
  const box = childOf(parseDatasetName(dataset.name), "box");
  const left = async (): Promise<string[]> =>
    (await dataset.contents()).flatMap((each) => /@enroot-[a-z]+-/.exec(each) ?? []);

  const atWork = newSnapshotName(layout, box, "file");
  await zfs("snapshot", atWork.name);
  for (const purpose of ["file", "transfer"] as const) {
    const { name, lock } = newSnapshotName(layout, box, purpose);
    await zfs("snapshot", name);
    lock.leave();
  }
  // Killed before there was one, and one that somebody else has destroyed.
  newSnapshotName(layout, box, "file").lock.leave();
  newSnapshotName(layout, box, "transfer").lock.leave();
  await store.prune({ all: true, isDryRun: false });
  assertEquals(await left(), [`@${prefixes.file}`, `@${prefixes.transfer}`]);

  atWork.lock.leave();
  await store.prune({ all: true, isDryRun: false });
  assertEquals(await left(), [`@${prefixes.transfer}`]);
  // A container that is gone takes its snapshots along, and the next sweep the locks.
  await zfs("destroy", "-r", box);
  await store.prune({ all: true, isDryRun: false });
  assertEquals(layout.locks.names(), ["layout"]);
});
