import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { createPartialFile } from "./partial_file.ts";

async function inFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("a partial file has its name only when it is published", () =>
  inFolder((folder) => {
    {
      using file = createPartialFile(`${folder}/out`, { replace: false });
      Deno.writeTextFileSync(file.path, "whole");
      assert(!names(folder).includes("out"));
      file.publish();
    }
    assertEquals(names(folder), ["out"]);
    assertEquals(Deno.readTextFileSync(`${folder}/out`), "whole");
  }));

Deno.test("a partial file that is not published leaves nothing", () =>
  inFolder((folder) => {
    {
      using _file = createPartialFile(`${folder}/out`, { replace: false });
    }
    assertEquals(names(folder), []);
  }));

Deno.test("a taken name is refused before any work, and at the end", () =>
  inFolder((folder) => {
    using file = createPartialFile(`${folder}/out`, { replace: false });
    Deno.writeTextFileSync(`${folder}/out`, "other");
    assertEquals(assertThrows(() => file.publish(), EnrootError).code, "exists");
    const error = assertThrows(
      () => createPartialFile(`${folder}/out`, { replace: false }),
      EnrootError,
      "exists already",
    );
    assertEquals(error.code, "exists");
    assertEquals(Deno.readTextFileSync(`${folder}/out`), "other");
  }));

Deno.test("a file is replaced when asked for, a folder never", () =>
  inFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/out`, "old");
    {
      using file = createPartialFile(`${folder}/out`, { replace: true });
      Deno.writeTextFileSync(file.path, "new");
      file.publish();
    }
    assertEquals(Deno.readTextFileSync(`${folder}/out`), "new");
    assertThrows(() => createPartialFile(folder, { replace: true }), EnrootError, "is a folder");
  }));

Deno.test("what a killed process left is removed by the next, what is in use is not", () =>
  inFolder((folder) => {
    Deno.writeTextFileSync(`${folder}/.enroot-partial.dead`, "half");
    using first = createPartialFile(`${folder}/a`, { replace: false });
    assertEquals(names(folder).length, 1);
    using second = createPartialFile(`${folder}/b`, { replace: false });
    assertEquals(names(folder).length, 2);
    assert(first.path !== second.path);
  }));

Deno.test("what only looks like a partial file is neither opened nor removed", () =>
  inFolder((folder) => {
    const { success } = new Deno.Command("mkfifo", { args: [`${folder}/.enroot-partial.pipe`] })
      .outputSync();
    assert(success);
    Deno.symlinkSync("/dev/null", `${folder}/.enroot-partial.link`);
    using _file = createPartialFile(`${folder}/out`, { replace: false });
    assertEquals(names(folder).length, 3);
  }));

Deno.test("a folder that cannot be written is named", () => {
  assertThrows(
    () => createPartialFile("/proc/out", { replace: false }),
    EnrootError,
    "cannot write in /proc",
  );
});
