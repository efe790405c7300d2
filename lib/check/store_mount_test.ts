import { assertEquals, assertStringIncludes } from "@std/assert";
import { attempt, run } from "../../tests/support/command.ts";
import { parseDatasetName } from "../zfs/dataset.ts";
import { checkStoreMount } from "./store_mount.ts";

const dataset = parseDatasetName("tank/enroot/1000");

Deno.test("a store whose snapshots can be entered is found, with what to do", async () => {
  const path = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${path}/.zfs`);
    const { status, remedy, detail } = checkStoreMount({ path, dataset, owner: 1000 });
    assertEquals(status, "fail");
    assertStringIncludes(detail, "snapshots can be entered");
    assertStringIncludes(remedy ?? "", "zfs set snapdir=disabled tank/enroot/1000");
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test({
  name: "a store that is mounted nosuid and nodev, without .zfs, is as it should be",
  // Only root mounts.
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const path = await Deno.makeTempDir();
    try {
      await run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev", "tmpfs", path]);
      assertEquals(checkStoreMount({ path, dataset, owner: 1000 }).status, "ok");
    } finally {
      await attempt(["umount", path]);
      await Deno.remove(path);
    }
  },
});
