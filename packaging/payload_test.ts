import { assert, assertEquals, assertRejects } from "@std/assert";
import { pack, type PackedFile } from "./payload.ts";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an executable is the launcher, the files by name, a table and a trailer", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/launcher`, "LAUNCHER");
    await Deno.writeTextFile(`${folder}/one`, "first");
    await Deno.writeTextFile(`${folder}/two`, "");
    const files: PackedFile[] = [
      { name: "lib/b", path: `${folder}/one`, mode: 0o644 },
      { name: "a", path: `${folder}/two`, mode: 0o755 },
    ];
    const { id, size } = await pack(
      `${folder}/launcher`,
      files,
      ["@/a", "--flag"],
      `${folder}/out`,
    );
    const table = "f 755 8 0 a\nf 644 8 5 lib/b\na @/a\na --flag\n";
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`first${table}`));
    assertEquals(id, new Uint8Array(digest).toHex());
    assertEquals(
      await Deno.readTextFile(`${folder}/out`),
      `LAUNCHERfirst${table}ENROOTP1000000000000000d000000000000002b${id}`,
    );
    const info = await Deno.stat(`${folder}/out`);
    assertEquals([info.size, (info.mode ?? 0) & 0o777], [size, 0o755]);

    const again = await pack(
      `${folder}/launcher`,
      files.toReversed(),
      ["@/a", "--flag"],
      `${folder}/out2`,
    );
    assertEquals(again, { id, size });
  });
});

Deno.test("files that a package installs are described, and not in the executable", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/launcher`, "LAUNCHER");
    await Deno.writeTextFile(`${folder}/one`, "first");
    const files: PackedFile[] = [{ name: "a", path: `${folder}/one`, mode: 0o755 }];
    const make = (path: string): Promise<{ id: string }> =>
      pack(`${folder}/launcher`, files, ["@/a"], path, { isInstalled: true });
    const { id } = await make(`${folder}/out`);
    const table = "i 755 5 a\na @/a\n";
    assertEquals(
      await Deno.readTextFile(`${folder}/out`),
      `LAUNCHER${table}ENROOTP100000000000000080000000000000010${id}`,
    );
    await Deno.writeTextFile(`${folder}/one`, "other");
    assert((await make(`${folder}/out`)).id !== id);
  });
});

Deno.test("what the launcher would refuse is refused here, and nothing is left", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/launcher`, "LAUNCHER");
    const path = `${folder}/launcher`;
    const named = (name: string): PackedFile[] => [{ name, path, mode: 0o644 }];
    const refused: PackedFile[][] = [
      ...["", "/a", "a/", "a//b", "../a", "a/../b", "a..b", "a b", "a\nb", "./a", "ä"].map(named),
      Array.from({ length: 257 }, (_, index) => ({ name: `f${index}`, path, mode: 0o644 })),
      [{ name: "a", path: `${folder}/missing`, mode: 0o644 }],
    ];
    for (const files of refused) {
      await assertRejects(() => pack(path, files, ["@/a"], `${folder}/out`), Error);
    }
    await assertRejects(
      () => pack(path, named("a"), Array.from({ length: 33 }, () => "w"), `${folder}/out`),
      Error,
    );
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    assertEquals(names, ["launcher"]);
    assert((await pack(path, named("a-b_c.d/e"), ["@/a"], `${folder}/out`)).size > 0);
  });
});
