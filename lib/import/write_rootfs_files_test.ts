import { assertEquals } from "@std/assert";
import { removeTree } from "../sys/remove_tree.ts";
import { writeRootfsFiles } from "./write_rootfs_files.ts";

async function inFolder(body: (root: string, outside: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    Deno.mkdirSync(`${folder}/root`);
    Deno.mkdirSync(`${folder}/outside`);
    body(`${folder}/root`, `${folder}/outside`);
  } finally {
    removeTree(folder);
  }
}

const files = [{ name: "rc", content: "text", mode: 0o755 }];

Deno.test("files are written with their mode and time, and /etc keeps its time", () =>
  inFolder((root) => {
    Deno.mkdirSync(`${root}/etc`);
    Deno.utimeSync(`${root}/etc`, 1000, 1000);
    writeRootfsFiles(root, files, 2000);
    assertEquals(Deno.readTextFileSync(`${root}/etc/rc`), "text");
    const { mode, mtime } = Deno.statSync(`${root}/etc/rc`);
    assertEquals([(mode ?? 0) & 0o7777, mtime?.getTime()], [0o755, 2_000_000]);
    assertEquals(Deno.statSync(`${root}/etc`).mtime?.getTime(), 1_000_000);
  }));

Deno.test("a missing /etc is made, always with the same time", () =>
  inFolder((root) => {
    Deno.utimeSync(root, 3000, 3000);
    writeRootfsFiles(root, files, 0);
    assertEquals(Deno.statSync(`${root}/etc`).mtime?.getTime(), 0);
    assertEquals(Deno.statSync(root).mtime?.getTime(), 3_000_000);
  }));

Deno.test("an /etc that is a symlink is resolved inside the root, never outside", () =>
  inFolder((root, outside) => {
    Deno.mkdirSync(`${root}${outside}`, { recursive: true });
    Deno.symlinkSync(outside, `${root}/etc`);
    writeRootfsFiles(root, files, 0);
    assertEquals([...Deno.readDirSync(outside)], []);
    assertEquals(Deno.readTextFileSync(`${root}${outside}/rc`), "text");
  }));

Deno.test("a symlink or a folder in the place of a file is replaced, its target untouched", () =>
  inFolder((root, outside) => {
    Deno.mkdirSync(`${root}/etc`);
    Deno.writeTextFileSync(`${outside}/victim`, "kept");
    Deno.symlinkSync(`${outside}/victim`, `${root}/etc/rc`);
    Deno.mkdirSync(`${root}/etc/fstab/sub`, { recursive: true });
    writeRootfsFiles(root, [...files, { name: "fstab", content: "", mode: 0o644 }], 0);
    assertEquals(Deno.readTextFileSync(`${outside}/victim`), "kept");
    assertEquals(Deno.lstatSync(`${root}/etc/rc`).isFile, true);
    assertEquals(Deno.lstatSync(`${root}/etc/fstab`).isFile, true);
  }));

Deno.test("closed folders are written all the same, and are closed again", () =>
  inFolder((root) => {
    Deno.mkdirSync(`${root}/etc`, { mode: 0o000 });
    Deno.chmodSync(root, 0o111);
    try {
      writeRootfsFiles(root, files, 0);
      assertEquals([modeOf(root), modeOf(`${root}/etc`)], [0o111, 0o000]);
    } finally {
      Deno.chmodSync(root, 0o755);
      Deno.chmodSync(`${root}/etc`, 0o755);
    }
    assertEquals(Deno.readTextFileSync(`${root}/etc/rc`), "text");
  }));

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o7777;
}
