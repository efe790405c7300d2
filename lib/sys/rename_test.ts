import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./libc.ts";
import { renameNoReplace } from "./rename.ts";

Deno.test("a rename to a free name moves, one to a taken name fails and changes nothing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/full/inner`, { recursive: true });
    await Deno.mkdir(`${folder}/empty`);
    renameNoReplace(`${folder}/full`, `${folder}/moved`);
    assertEquals((await Deno.stat(`${folder}/moved/inner`)).isDirectory, true);

    // rename(2) itself would replace an empty folder.
    const error = assertThrows(
      () => renameNoReplace(`${folder}/moved`, `${folder}/empty`),
      SysError,
    );
    assertEquals(error.code, "EEXIST");
    assertEquals((await Deno.stat(`${folder}/moved/inner`)).isDirectory, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a rename of what is not there says so", () => {
  const error = assertThrows(() => renameNoReplace("/nonexistent/a", "/nonexistent/b"), SysError);
  assertEquals(error.code, "ENOENT");
});
