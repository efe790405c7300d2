import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { checkFuse, likeLower } from "./image_server.ts";

Deno.test("a device that cannot be had is named, with what to do", () => {
  const rows = [
    ["/none/fuse", "/none/fuse is missing: as root, run 'modprobe fuse'"],
    ["/", "/ cannot be opened: as root, run 'chmod 666 /'"],
  ] as const;
  for (const [device, said] of rows) {
    const error = assertThrows(() => checkFuse(device), EnrootError);
    assertEquals([error.code, error.message.includes(said)], ["no-fuse", true], error.message);
  }
  checkFuse("/dev/null");
});

Deno.test("the folder on top has the mode and the time of the one below", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["lower", "upper"]) await Deno.mkdir(`${folder}/${name}`);
    await Deno.chmod(`${folder}/lower`, 0o1750);
    await Deno.utime(`${folder}/lower`, 1000, 1000);
    likeLower(`${folder}/lower`, `${folder}/upper`);
    const { mode, mtime } = await Deno.stat(`${folder}/upper`);
    assertEquals([(mode ?? 0) & 0o7777, mtime?.getTime()], [0o1750, 1_000_000]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
