import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./libc.ts";
import { removeTree } from "./remove_tree.ts";

async function inFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    removeTree(folder);
  }
}

const names = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("a tree is removed, and what its symlinks point to is not", () =>
  inFolder((folder) => {
    Deno.mkdirSync(`${folder}/kept`);
    Deno.writeTextFileSync(`${folder}/kept/file`, "x");
    Deno.mkdirSync(`${folder}/tree/sub/deep`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/tree/sub/file`, "x");
    Deno.symlinkSync("../kept", `${folder}/tree/link`);
    Deno.symlinkSync(`${folder}/kept`, `${folder}/tree/sub/link`);
    removeTree(`${folder}/tree`);
    assertEquals(names(folder), ["kept"]);
    assertEquals(names(`${folder}/kept`), ["file"]);
  }));

Deno.test("a symlink to a folder is removed, not the folder", () =>
  inFolder((folder) => {
    Deno.mkdirSync(`${folder}/kept`);
    Deno.symlinkSync("kept", `${folder}/link`);
    removeTree(`${folder}/link`);
    assertEquals(names(folder), ["kept"]);
  }));

Deno.test("removing what is not there does nothing", () => {
  removeTree("/nonexistent/a/b");
  removeTree("/tmp/nonexistent-name-of-a-file");
});

Deno.test("a tree of 2,500 levels and one of 30,000 names are removed", () =>
  inFolder((folder) => {
    const back = Deno.cwd();
    Deno.mkdirSync(`${folder}/deep`);
    try {
      Deno.chdir(`${folder}/deep`);
      for (let level = 0; level < 2500; level++) {
        Deno.mkdirSync("d");
        Deno.chdir("d");
      }
    } finally {
      Deno.chdir(back);
    }
    Deno.mkdirSync(`${folder}/wide`);
    for (let index = 0; index < 30_000; index++) Deno.mkdirSync(`${folder}/wide/${index}`);
    removeTree(`${folder}/deep`);
    removeTree(`${folder}/wide`);
    assertEquals(names(folder), []);
  }));

Deno.test("what cannot be removed is named", () => {
  const error = assertThrows(() => removeTree("/proc/self"), SysError);
  assertEquals(error.message.startsWith("/proc/self: "), true);
});
