import { assertEquals } from "@std/assert";
import { grantCapability } from "../sys/capability.ts";
import { capabilities, fileHasCapability, hasCapability } from "./file_capability.ts";

/** A value of `security.capability`. */
function valueOf(version: number, permitted: number, high = 0): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(version === 3 ? 24 : 20));
  view.setUint32(0, version << 24 | 1, true);
  view.setUint32(4, permitted, true);
  view.setUint32(12, high, true);
  return new Uint8Array(view.buffer);
}

Deno.test("a capability is read from each version that has room for it", () => {
  const bit = 2 ** capabilities.CAP_SYS_ADMIN;
  for (
    const [value, number, has] of [
      [valueOf(2, bit), 21, true],
      [valueOf(3, bit), 21, true],
      [valueOf(2, bit + 2 ** 31), 31, true],
      [valueOf(2, 0, 1), 32, true],
      [valueOf(2, 0, 1), 0, false],
      [valueOf(2, ~bit >>> 0), 21, false],
      [valueOf(1, bit), 21, false],
      [valueOf(2, bit).slice(0, 12), 21, false],
      [new Uint8Array(), 21, false],
    ] as const
  ) assertEquals(hasCapability(value, number), has);
});

Deno.test("a file has the capability that it was given, and no other file has it", async () => {
  const path = await Deno.makeTempFile();
  try {
    assertEquals(fileHasCapability(path, "CAP_SYS_ADMIN"), false);
    assertEquals(fileHasCapability(`${path}.absent`, "CAP_SYS_ADMIN"), false);
    if (Deno.uid() !== 0) return;
    grantCapability(path, "CAP_SYS_ADMIN");
    assertEquals(fileHasCapability(path, "CAP_SYS_ADMIN"), true);
  } finally {
    await Deno.remove(path);
  }
});
