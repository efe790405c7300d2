import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { BundleWriter } from "./bundle_writer.ts";
import { parseTable, readPayload } from "./payload.ts";

Deno.test("a table names files that lie as they are, deflated or elsewhere, and an image", () => {
  const text = "f 755 100 50 a\nz 644 150 20 90 etc/b.sh\ni 600 7 c\nd 170 30\na @/a\na x y\n";
  assertEquals(parseTable(text, 200, "x"), {
    headSize: 100,
    files: [
      { name: "a", mode: 0o755, size: 50, region: { offset: 100, size: 50 } },
      { name: "etc/b.sh", mode: 0o644, size: 90 },
      { name: "c", mode: 0o600, size: 7 },
    ],
    data: { offset: 170, size: 30 },
  });
  // Where all files are installed, the program reaches up to the table.
  assertEquals(parseTable("i 755 7 c\na @/c\n", 64, "x").headSize, 64);
});

Deno.test("a table that is not one is refused", () => {
  for (
    const line of [
      "f 755 100 101 behind-the-end",
      "z 755 199 2 5 behind-the-end",
      "d 0 201",
      "d 1",
      "f 755 1 2 3 too-many",
      "f 755 1 too-few",
      "z 755 1 2 too-few",
      "i 755 1 2 too-many",
      "f 755 1 2 ../up",
      "f 755 1 2 /top",
      "f 999 1 2 mode",
      "f 755 -1 2 negative",
      "x 755 1 2 kind",
      "",
    ]
  ) {
    assertThrows(() => parseTable(`${line}\n`, 200, "x"), EnrootError, "x is damaged");
  }
});

Deno.test("what a writer writes is read back, and what is cut off is not", async () => {
  const path = await Deno.makeTempFile();
  try {
    {
      using file = await Deno.open(path, { write: true });
      const writer = new BundleWriter(file);
      await writer.head(new Uint8Array(33));
      assertEquals(await writer.image([new Uint8Array(5)]), { offset: 33, size: 5 });
      await writer.file("a/b", 0o755, [new Uint8Array(700), new Uint8Array(300)]);
      await writer.file("empty", 0o644, []);
      await writer.end(["@/a/b"], true);
      assertEquals(writer.size, (await file.stat()).size);
    }
    const payload = await readPayload(path);
    assertEquals(payload, {
      headSize: 33,
      data: { offset: 33, size: 5 },
      files: [{ name: "a/b", mode: 0o755, size: 1000 }, { name: "empty", mode: 0o644, size: 0 }],
    });
    const { size } = await Deno.stat(path);
    for (const left of [0, 10, size - 1]) {
      await Deno.truncate(path, left);
      await assertRejects(() => readPayload(path), EnrootError, "is damaged or incomplete");
    }
    await assertRejects(() => readPayload(`${path}.absent`), EnrootError, "cannot read");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a name that the head could not make is refused before anything is written", async () => {
  const path = await Deno.makeTempFile();
  try {
    using file = await Deno.open(path, { write: true });
    const writer = new BundleWriter(file);
    for (const name of ["a b", "../a", "/a", "a//b", "a\n", ""]) {
      await assertRejects(() => writer.file(name, 0o644, []), RangeError);
    }
    assertEquals(writer.size, 0);
  } finally {
    await Deno.remove(path);
  }
});
