import { assertEquals, assertRejects } from "@std/assert";
import { rawArchive, rawMember, rawPax } from "../../../tests/support/raw_tar.ts";
import { EnrootError } from "../../errors.ts";
import { readMembers } from "./members.ts";

const long = `${"n".repeat(120)}/x`;
const archive = rawArchive(
  rawMember({ name: "folder/", type: "5" }),
  rawMember({ name: "./folder/../a", content: "first" }),
  rawMember({ name: "link", type: "2", linkname: "a" }),
  rawPax({ path: long }),
  rawMember({ name: "short", content: "x".repeat(2000) }),
  rawMember({ name: "empty" }),
  rawMember({ name: "b", content: "last" }),
);

async function* inPieces(bytes: Uint8Array<ArrayBuffer>, size: number) {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.slice(at, at + size));
  }
}

for (const size of [1, 100, 512, 513, 1 << 20]) {
  Deno.test(`files come in order, with their names, in pieces of ${size}`, async () => {
    const seen: [string, number, string][] = [];
    for await (const { name, content } of readMembers(inPieces(archive, size))) {
      assertEquals((await content.peek(3)).length >= Math.min(3, content.size), true);
      const text = new TextDecoder().decode(await content.whole());
      seen.push([name, content.size, text]);
    }
    assertEquals(seen, [
      ["a", 5, "first"],
      [long, 2000, "x".repeat(2000)],
      ["empty", 0, ""],
      ["b", 4, "last"],
    ]);
  });
}

Deno.test("what is not read of a file is passed over", async () => {
  const names: string[] = [];
  for await (const { name, content } of readMembers(inPieces(archive, 700))) {
    names.push(name);
    if (name === long) {
      for await (const _ of content.pieces()) break;
    }
  }
  assertEquals(names, ["a", long, "empty", "b"]);
});

for (const length of [100, 600, 1027, 3000]) {
  Deno.test(`an archive of which only ${length} bytes come is an error`, async () => {
    await assertRejects(async () => {
      for await (const { content } of readMembers(inPieces(archive.slice(0, length), 256))) {
        await content.whole();
      }
    }, EnrootError);
  });
}

Deno.test("what the source throws is what the reader gets", async () => {
  async function* failing() {
    yield archive.slice(0, 1024 + 300);
    await Promise.reject(new RangeError("gone"));
  }
  await assertRejects(
    async () => {
      for await (const { content } of readMembers(failing())) await content.whole();
    },
    RangeError,
    "gone",
  );
});
