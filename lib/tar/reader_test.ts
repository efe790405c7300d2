import { assert, assertEquals, assertThrows } from "@std/assert";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { display, utf8 } from "./byte_string.ts";
import { type TarEntry, TarError } from "./entry.ts";
import { TarReader } from "./reader.ts";

interface Read {
  entry: TarEntry;
  name: string;
  content: string;
}

/** Read an archive in pieces of a size; a hole reads as dots. */
function read(archive: Uint8Array<ArrayBuffer>, piece = archive.length): Read[] {
  const found: Read[] = [];
  let bytes = new Uint8Array(0);
  const reader = new TarReader({
    entry(entry) {
      found.push({ entry, name: display(entry.path), content: "" });
      bytes = new Uint8Array(Math.min(entry.size, 1 << 20)).fill(46);
    },
    content(part, offset) {
      bytes.set(part, offset);
    },
    end() {
      const last = found.at(-1);
      if (last !== undefined) last.content = new TextDecoder().decode(bytes);
    },
  });
  for (let at = 0; at < archive.length; at += piece) reader.write(archive.subarray(at, at + piece));
  reader.end();
  return found;
}

async function tool(argv: string[], cwd: string): Promise<Uint8Array<ArrayBuffer>> {
  const [program = "", ...args] = argv;
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  assert(success, new TextDecoder().decode(stderr));
  return stdout;
}

const long = `${"directory-with-a-long-name/".repeat(8)}${"n".repeat(150)}`;

const programs: [what: string, argv: string[]][] = [
  ["GNU tar, GNU format", ["tar", "--format=gnu", "-cf", "-", "."]],
  ["GNU tar, pax format", ["tar", "--format=pax", "-cf", "-", "."]],
  ["GNU tar, sparse 0.0", ["tar", "--format=pax", "--sparse-version=0.0", "-Scf", "-", "."]],
  ["GNU tar, sparse 0.1", ["tar", "--format=pax", "--sparse-version=0.1", "-Scf", "-", "."]],
  ["GNU tar, sparse 1.0", ["tar", "--format=pax", "--sparse-version=1.0", "-Scf", "-", "."]],
  ["GNU tar, old GNU sparse", ["tar", "--format=gnu", "-Scf", "-", "."]],
  ["bsdtar, pax format", ["bsdtar", "--format=pax", "-cf", "-", "."]],
  ["bsdtar, GNU format", ["bsdtar", "--format=gnutar", "-cf", "-", "."]],
];
for (const [what, argv] of programs) {
  Deno.test(`the reader gives back what ${what} wrote, in pieces of any size`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/${long}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${long}`, "long");
      await Deno.writeTextFile(`${folder}/é ü`, "x".repeat(1000));
      await Deno.symlink("t".repeat(200), `${folder}/link`);
      await Deno.link(`${folder}/${long}`, `${folder}/zz`);
      {
        using file = await Deno.open(`${folder}/holes`, { create: true, write: true });
        for (let index = 0; index < 40; index++) {
          await file.seek(index * 16_384, Deno.SeekMode.Start);
          await file.write(new TextEncoder().encode(`part ${index}`));
        }
        await file.truncate(1_000_000);
      }
      const archive = await tool(argv, folder);
      const names = (list: Read[]): string[] => list.map(({ name }) => name).sort();
      const whole = read(archive);
      for (const piece of [511, 1000, 4096]) {
        const again = read(archive, piece);
        assertEquals(names(again), names(whole));
        assertEquals(again.map(({ content }) => content), whole.map(({ content }) => content));
      }
      const byName = new Map(whole.map((each) => [each.name.replace(/^\.\//, ""), each]));
      const target = byName.get(long)?.entry.type === "file" ? long : "zz";
      assertEquals(byName.get(target)?.content, "long");
      assertEquals(byName.get(target === long ? "zz" : long)?.entry.type, "hardlink");
      assertEquals(byName.get("é ü")?.content, "x".repeat(1000));
      assertEquals(display(byName.get("link")?.entry.linkPath ?? utf8("")), "t".repeat(200));
      const holes = byName.get("holes")?.content.replaceAll("\0", ".") ?? "";
      assertEquals(holes.length, 1_000_000);
      for (let index = 0; index < 40; index++) {
        const text = `part ${index}`;
        assertEquals(holes.slice(index * 16_384, index * 16_384 + text.length + 1), `${text}.`);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("pax records win over the header, and global ones hold until taken back", () => {
  const found = read(rawArchive(
    rawPax({ mtime: "5.25", uid: "70000" }, "g"),
    rawPax({ path: "from pax", mtime: "-1.5", size: "3" }),
    rawMember({ name: "x", content: "abc", size: 0 }),
    rawMember({ name: "y" }),
    rawPax({ mtime: "" }, "g"),
    rawMember({ name: "z", mtime: 9 }),
  ));
  assertEquals(found.map(({ name, content }) => [name, content]), [
    ["from pax", "abc"],
    ["y", ""],
    ["z", ""],
  ]);
  assertEquals(found.map(({ entry }) => entry.mtime), [
    { seconds: -2, nanoseconds: 500_000_000 },
    { seconds: 5, nanoseconds: 250_000_000 },
    { seconds: 9, nanoseconds: 0 },
  ]);
  assertEquals(found.map(({ entry }) => entry.uid), [70_000, 70_000, 70_000]);
});

Deno.test("extended attributes of star and libarchive are read, bytes and all", () => {
  const [file] = read(rawArchive(
    rawPax({
      "SCHILY.xattr.user.a": "v\0w",
      "LIBARCHIVE.xattr.user.b%3D": btoa("bytes"),
    }),
    rawMember({ name: "x" }),
  ));
  const text = (value: Uint8Array | undefined): string => new TextDecoder().decode(value);
  const xattrs = new Map([...file?.entry.xattrs ?? []].map(([name, value]) => [`${name}`, value]));
  assertEquals(text(xattrs.get("user.a")), "v\0w");
  assertEquals(text(xattrs.get("user.b=")), "bytes");
});

Deno.test("a name that is no UTF-8 keeps its bytes", () => {
  const [file] = read(rawArchive(rawMember({ name: new Uint8Array([0x61, 0xff, 0xfe]) })));
  assertEquals([...file?.entry.path ?? ""].map((c) => c.charCodeAt(0)), [0x61, 0xff, 0xfe]);
});

Deno.test("base-256 sizes and times are read, and so are signed checksums", () => {
  const base256 = (value: number): Uint8Array => {
    const field = new Uint8Array(12);
    new DataView(field.buffer).setInt32(8, value);
    if (value < 0) field.fill(0xff, 0, 8);
    field[0] = value < 0 ? 0xff : 0x80;
    return field;
  };
  const [file] = read(rawArchive(
    rawMember({ name: "x", content: "abc", size: base256(3), patches: [[136, base256(-5)]] }),
  ));
  assertEquals([file?.content, file?.entry.mtime.seconds], ["abc", -5]);
});

Deno.test("an old archive's directory is told by its final slash", () => {
  const [folder] = read(rawArchive(rawMember({ name: "dir/", type: "\0", magic: "" })));
  assertEquals(folder?.entry.type, "directory");
});

Deno.test("one block of zeroes, or none, ends an archive at the end of its bytes", () => {
  const member = rawMember({ name: "x" });
  assertEquals(read(member).length, 1);
  assertEquals(read(rawArchive(member).subarray(0, 1024)).length, 1);
  assertEquals(read(new Uint8Array(1024)).length, 0);
  assertEquals(read(new Uint8Array(0)).length, 0);
});

Deno.test("the padding of the last entry may be missing, its content may not", () => {
  const member = rawMember({ name: "x", content: "abc" });
  for (const length of [515, 600, 1023]) {
    assertEquals(read(member.slice(0, length)).map(({ content }) => content), ["abc"]);
  }
  assertThrows(() => read(member.slice(0, 514)), TarError, "in the middle of 'x'");
});

Deno.test("a record of the file itself is asked where it has holes, a global one is not", () => {
  const map = { "GNU.sparse.map": "1,1", "GNU.sparse.size": "3" };
  const found = read(rawArchive(
    rawPax(map, "g"),
    rawMember({ name: "x", content: "a" }),
    rawPax(map),
    rawMember({ name: "y", content: "b" }),
    rawMember({ name: "z", content: "c" }),
  ));
  assertEquals(found.map(({ content }) => content), ["a", ".b.", "c"]);
});

Deno.test("what follows the end of an archive is not read", () => {
  const junk = new Uint8Array(2048).fill(7);
  assertEquals(read(new Uint8Array([...rawArchive(rawMember({ name: "x" })), ...junk])).length, 1);
});

const x = rawMember({ name: "x" });
const hostile: [what: string, archive: Uint8Array<ArrayBuffer>, text: string][] = [
  ["a wrong checksum", rawArchive(rawMember({ name: "x", checksum: "0000000\0" })), "checksum"],
  ["random bytes", new Uint8Array(1024).fill(0x41), "checksum"],
  [
    "a negative size",
    rawArchive(rawMember({ name: "x", size: new Uint8Array(12).fill(0xff) })),
    "size",
  ],
  [
    "a giant size",
    rawArchive(rawMember({ name: "x", size: new Uint8Array([0x80, ...Array(11).fill(0x7f)]) })),
    "size",
  ],
  ["a size that is no number", rawArchive(rawMember({ name: "x", size: "12x" })), "size"],
  ["an end inside a header", x.subarray(0, 100), "in the middle of a header"],
  [
    "an end inside content",
    rawMember({ name: "x", content: "abc", size: 600 }),
    "in the middle of 'x'",
  ],
  ["an end after a pax header", rawPax({ path: "y" }), "in the middle of a header"],
  ["zeroes after a pax header", rawArchive(rawPax({ path: "y" })), "after an extended header"],
  ["a member between the zeroes", new Uint8Array([...new Uint8Array(512), ...x]), "zeroes"],
  ["a NUL in a pax name", rawArchive(rawPax({ path: "a\0b" }), x), "NUL"],
  ["a NUL in a pax link", rawArchive(rawPax({ linkpath: "a\0b" }), x), "NUL"],
  ["a negative pax size", rawArchive(rawPax({ size: "-1" }), x), "size"],
  ["a pax size beyond all numbers", rawArchive(rawPax({ size: "9".repeat(30) }), x), "size"],
  ["a pax time that is none", rawArchive(rawPax({ mtime: "soon" }), x), "no time"],
  ["a path of 4,096 bytes", rawArchive(rawPax({ path: "p".repeat(4096) }), x), "too long"],
  ["a link of 5,000 bytes", rawArchive(rawPax({ linkpath: "p".repeat(5000) }), x), "too long"],
  [
    "a pax header of 2 MiB",
    rawArchive(rawMember({ name: "x", type: "x", size: 2 << 20 })),
    "1 MiB",
  ],
  [
    "a pax record that overruns",
    rawArchive(rawMember({ name: "h", type: "x", content: "99 a=b\n" }), x),
    "malformed",
  ],
  [
    "a pax record without a value",
    rawArchive(rawMember({ name: "h", type: "x", content: "5 abc\n" }), x),
    "malformed",
  ],
  ["a nameless attribute", rawArchive(rawPax({ "SCHILY.xattr.": "v" }), x), "attribute"],
  ["an entry without a name", rawArchive(rawMember({ name: "" })), "no name"],
  ["an unknown type", rawArchive(rawMember({ name: "x", type: "Q" })), "not supported"],
  [
    "extents that overlap",
    rawArchive(
      rawPax({ "GNU.sparse.map": "0,2,1,2", "GNU.sparse.size": "9" }),
      rawMember({ name: "x", content: "abcd" }),
    ),
    "makes no sense",
  ],
  [
    "extents beyond the file",
    rawArchive(
      rawPax({ "GNU.sparse.map": "8,4", "GNU.sparse.size": "9" }),
      rawMember({ name: "x", content: "abcd" }),
    ),
    "makes no sense",
  ],
  [
    "extents that do not fit the content",
    rawArchive(
      rawPax({ "GNU.sparse.map": "0,1", "GNU.sparse.size": "9" }),
      rawMember({ name: "x", content: "abcd" }),
    ),
    "does not fit",
  ],
  [
    "one extent as large as the content, beyond the file",
    rawArchive(
      rawPax({ "GNU.sparse.map": "5,4", "GNU.sparse.size": "4" }),
      rawMember({ name: "x", content: "abcd" }),
    ),
    "makes no sense",
  ],
  [
    "one extent smaller than the content",
    rawArchive(
      rawPax({ "GNU.sparse.map": "0,2", "GNU.sparse.size": "4" }),
      rawMember({ name: "x", content: "abcd" }),
    ),
    "does not fit",
  ],
  ["a sparse file of GNU in ustar", rawArchive(rawMember({ name: "x", type: "S" })), "not known"],
  [
    "a sparse map of one endless number",
    rawArchive(
      rawPax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0" }),
      rawMember({ name: "x", content: "1".repeat(4096) }),
    ),
    "malformed",
  ],
  ["a pax record without a keyword", rawArchive(rawPax({ "": "v" }), x), "malformed"],
  ["an owner beyond 32 bits", rawArchive(rawPax({ uid: "4294967296" }), x), "owner"],
  [
    "300 global records",
    rawArchive(...Array.from({ length: 300 }, (_, at) => rawPax({ [`k${at}`]: "v" }, "g")), x),
    "global headers",
  ],
  [
    "global records of more than 1 MiB",
    rawArchive(rawPax({ a: "v".repeat(600_000) }, "g"), rawPax({ b: "v".repeat(600_000) }, "g"), x),
    "global headers",
  ],
  [
    "a sparse map that does not end",
    rawArchive(
      rawPax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" }),
      rawMember({ name: "x", content: "9\n0\n" }),
    ),
    "sparse map",
  ],
];
for (const [what, archive, text] of hostile) {
  Deno.test(`${what} is refused: ${text}`, () => {
    for (const piece of [archive.length || 1, 100]) {
      assertThrows(() => read(archive, piece), TarError, text);
    }
  });
}
