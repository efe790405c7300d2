import { assertEquals, assertMatch } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { checkHelper, checkZfs } from "./zfs.ts";

Deno.test("without a store, its making is the remedy", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const found = await checkZfs(folder, 1000);
    const store = found.find(({ name }) => name === "store");
    assertEquals(store?.status, "fail");
    assertMatch(store?.detail ?? "", /^no ZFS dataset is mounted at ENROOT_DATA_PATH=/);
    assertMatch(store?.remedy ?? "", /^make one, as root: zfs create /);
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test("a helper that is missing or lacks its capability is told, with the command that helps", async () => {
  const missing = checkHelper(() => {
    throw new EnrootError(
      "helper-missing",
      "it is not there: as root, run 'enroot install-helper'",
    );
  });
  assertEquals([missing.status, missing.remedy], ["fail", "as root, run 'enroot install-helper'"]);
  const path = await Deno.makeTempFile();
  try {
    const powerless = checkHelper(() => path);
    assertEquals(powerless.status, "fail");
    assertEquals(powerless.remedy, `as root, run: setcap cap_sys_admin+ep ${path}`);
  } finally {
    await Deno.remove(path);
  }
});
