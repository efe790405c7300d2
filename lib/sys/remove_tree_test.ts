import { assertEquals, assertThrows } from "@std/assert";
import { run } from "../../tests/support/command.ts";
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

// It takes a mount, and who may make one.
Deno.test({
  name: "what is mounted below is named and not emptied, be it of the same file system",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inFolder(async (folder) => {
      const place = `${folder}/tree/sub/place`;
      Deno.mkdirSync(`${folder}/kept`);
      Deno.writeTextFileSync(`${folder}/kept/file`, "x");
      Deno.mkdirSync(place, { recursive: true });
      for (const what of [["--bind", `${folder}/kept`], ["-t", "tmpfs", "none"]]) {
        await run(["mount", ...what, place]);
        try {
          Deno.writeTextFileSync(`${place}/new`, "x");
          const said = `${folder}/tree/sub/place, a mount point that was not emptied`;
          assertThrows(() => removeTree(`${folder}/tree`), SysError, said);
          assertThrows(() => removeTree(place), SysError, `${place}, a mount point`);
          assertEquals(names(place).includes("new"), true);
        } finally {
          await run(["umount", place]);
        }
      }
      assertEquals(names(`${folder}/kept`).sort(), ["file", "new"]);
      removeTree(`${folder}/tree`);
      assertEquals(names(folder), ["kept"]);
    }),
});

Deno.test("folders that their owner may not enter are removed, and what links lead to stays as it is", () =>
  inFolder(async (folder) => {
    const script = `cd "$0" && mkdir -p kept tree/a/b && : > tree/a/b/file
      ln -s ../../kept tree/a/link; chmod 500 kept; chmod 0 tree/a/b tree/a`;
    await run(["sh", "-c", script, folder]);
    const url = new URL("./remove_tree.ts", import.meta.url);
    const text = `import { removeTree } from "${url}"; removeTree(Deno.args[0] ?? "");`;
    await Deno.writeTextFile(`${folder}/remove.ts`, text);
    // To root nothing is closed, but for these.
    const become = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"];
    const remove = [Deno.execPath(), "run", "-A", "--no-check", `${folder}/remove.ts`];
    await run([...Deno.uid() === 0 ? become : [], ...remove, `${folder}/tree`]);
    assertEquals(names(folder).sort(), ["kept", "remove.ts"]);
    assertEquals((Deno.statSync(`${folder}/kept`).mode ?? 0) & 0o777, 0o500);
  }));
