import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { removeTree } from "./remove_tree.ts";
import { Rootfs } from "./rootfs.ts";

async function inRoot(body: (rootfs: Rootfs, outside: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    Deno.mkdirSync(`${folder}/root`);
    Deno.mkdirSync(`${folder}/outside`);
    Deno.writeTextFileSync(`${folder}/outside/secret`, "secret");
    using rootfs = new Rootfs(`${folder}/root`);
    body(rootfs, `${folder}/outside`);
    assertEquals([...Deno.readDirSync(`${folder}/outside`)].length, 1);
  } finally {
    removeTree(folder);
  }
}

Deno.test("folders and files are made with those above them, always with the same times", () =>
  inRoot((rootfs) => {
    Deno.utimeSync(rootfs.path, 7, 7);
    rootfs.create("/a/b/c", "dir");
    rootfs.create("a/b/file", "file");
    assertEquals(Deno.statSync(`${rootfs.path}/a/b/c`).isDirectory, true);
    assertEquals(Deno.statSync(`${rootfs.path}/a/b/file`).isFile, true);
    for (const path of ["a", "a/b", "a/b/c", "a/b/file"]) {
      assertEquals(Deno.statSync(`${rootfs.path}/${path}`).mtime?.getTime(), 0);
    }
    assertEquals(Deno.statSync(rootfs.path).mtime?.getTime(), 7000);
  }));

Deno.test("what is there is left as it is", () =>
  inRoot((rootfs) => {
    Deno.writeTextFileSync(`${rootfs.path}/file`, "kept");
    rootfs.create("/file", "file");
    assertEquals(rootfs.readText("/file"), "kept");
  }));

Deno.test("symlinks are resolved inside the root, dangling ones too", () =>
  inRoot((rootfs, outside) => {
    Deno.symlinkSync(outside, `${rootfs.path}/absolute`);
    Deno.symlinkSync("../../../../outside/secret", `${rootfs.path}/relative`);
    assertEquals(rootfs.readText("/absolute/secret"), undefined);
    assertEquals(rootfs.readText("/relative"), undefined);
    rootfs.create("/absolute/made", "file");
    rootfs.create("/relative", "file");
    assertEquals(Deno.statSync(`${rootfs.path}${outside}/made`).isFile, true);
    assertEquals(Deno.statSync(`${rootfs.path}/outside/secret`).size, 0);
  }));

Deno.test("links that lead in a circle end in an error", () =>
  inRoot((rootfs) => {
    Deno.symlinkSync("b", `${rootfs.path}/a`);
    Deno.symlinkSync("a", `${rootfs.path}/b`);
    assertThrows(() => rootfs.create("/a", "file"), EnrootError);
  }));

Deno.test("links that lead in a circle by folders below them end in an error", () =>
  inRoot((rootfs) => {
    Deno.symlinkSync("b/x", `${rootfs.path}/a`);
    Deno.symlinkSync("a/x", `${rootfs.path}/b`);
    assertThrows(() => rootfs.create("/a/deep", "file"), EnrootError, "too many symlinks");
  }));

Deno.test("a path of any length ends in an error, not in a full stack", () =>
  inRoot((rootfs) => {
    const error = assertThrows(() => rootfs.create("/a".repeat(100_000), "dir"), EnrootError);
    assertEquals(error.code, "ENAMETOOLONG");
  }));

Deno.test("what stands above a dangling link's target is above what it leads to", () =>
  inRoot((rootfs) => {
    Deno.mkdirSync(`${rootfs.path}/deep/folder`, { recursive: true });
    Deno.symlinkSync("deep/folder", `${rootfs.path}/short`);
    Deno.symlinkSync("../made/here", `${rootfs.path}/deep/folder/link`);
    rootfs.create("/short/link", "file");
    assertEquals(Deno.statSync(`${rootfs.path}/deep/made/here`).isFile, true);
    assertEquals(Deno.statSync(`${rootfs.path}/short/link`).isFile, true);
  }));

Deno.test("only regular files are read, and nothing waits for a pipe", () =>
  inRoot((rootfs) => {
    const { success } = new Deno.Command("mkfifo", { args: [`${rootfs.path}/pipe`] }).outputSync();
    assertEquals(success, true);
    assertEquals(rootfs.readText("/pipe"), undefined);
    assertEquals(rootfs.readText("/"), undefined);
    assertEquals(rootfs.fileMode("/pipe"), undefined);
  }));

Deno.test("a file is read whole or not at all", () =>
  inRoot((rootfs) => {
    const text = `${"x".repeat(4 << 20)}end`;
    Deno.writeTextFileSync(`${rootfs.path}/long`, text);
    assertEquals(rootfs.readText("/long"), text);
    Deno.truncateSync(`${rootfs.path}/long`, (16 << 20) + 1);
    const error = assertThrows(() => rootfs.readText("/long"), EnrootError);
    assertEquals(error.code, "too-large");
  }));
