import { assertEquals, assertThrows } from "@std/assert";
import {
  type ArchiveMember,
  dockerContainerd,
  type EngineImage,
  gzip,
  hexOf,
  makeImage,
  makeLayer,
} from "../../../tests/support/engine_archive.ts";
import { EnrootError } from "../../errors.ts";
import { type Digest, parseDiffId, parseDigest } from "../../oci/digest.ts";
import { Documents } from "./documents.ts";

const layers = [makeLayer("a"), makeLayer("b")];
const image = makeImage(layers, "amd64");
const other = makeImage(layers.toReversed(), "arm64");
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function wanted(id: string, { diffIds, architecture }: EngineImage = image): Documents {
  return new Documents({
    engineId: parseDigest(id),
    architecture,
    diffIds: diffIds.map(parseDiffId),
    uri: "dockerd://x",
  });
}

function documentsIn(members: readonly ArchiveMember[]): ArchiveMember[] {
  return members.filter(({ content }) => content[0] === "{".charCodeAt(0));
}

Deno.test("the config is found by its own digest, whatever its name", () => {
  const documents = wanted(image.id);
  documents.add("anything", json({ rootfs: {} }));
  assertEquals(documents.found, undefined);
  documents.add("x.json", image.config);
  assertEquals(documents.found?.digest, image.id as Digest);
});

Deno.test("an index leads to the config of its platform, in whatever order documents come", () => {
  for (const mine of [image, other]) {
    const archive = dockerContainerd([image, other]);
    const members = documentsIn(archive.members);
    for (const order of [members, members.toReversed()]) {
      const documents = wanted(archive.id, mine);
      for (const { name, content } of order) documents.add(name, content);
      assertEquals(documents.found?.digest, mine.id as Digest);
      const blobs = mine.layers.map((layer) => documents.indexesOfBlob(hexOf(gzip(layer))));
      assertEquals(blobs, [[0], [1]]);
      assertEquals(documents.indexesOfBlob("f".repeat(64)), []);
    }
  }
});

Deno.test("of two configs that would do, the first of the index is taken, when it has come", () => {
  const second = makeImage(layers, "amd64");
  const twin: EngineImage = { ...second, config: new TextEncoder().encode(rewritten(second)) };
  const archive = dockerContainerd([image, twin]);
  for (const members of [archive.members, archive.members.toReversed()]) {
    const documents = wanted(archive.id);
    for (const { name, content } of documentsIn(members)) documents.add(name, content);
    assertEquals(documents.found?.digest, image.id as Digest);
  }
});

Deno.test("a config with other layers or of another platform is none", () => {
  for (const wrong of [other, makeImage(layers, "arm64"), makeImage(layers.slice(1), "amd64")]) {
    const documents = wanted(wrong.id);
    documents.add("x.json", wrong.config);
    documents.end();
    assertEquals(documents.found, undefined);
  }
});

Deno.test("where the ID leads nowhere, the archive's own list is followed, at its end", () => {
  const documents = wanted(`sha256:${"f".repeat(64)}`);
  documents.add("x.json", image.config);
  documents.add("manifest.json", json([{ Config: "x.json", Layers: [] }]));
  assertEquals(documents.found, undefined);
  documents.end();
  assertEquals(documents.found?.digest, image.id as Digest);
});

Deno.test("the layers of version 1 are counted from the one without a parent", () => {
  const documents = wanted(image.id);
  documents.add("c/json", json({ id: "c", parent: "b" }));
  documents.add("a/json", json({ id: "a" }));
  assertEquals([documents.indexOfVersion1("c"), documents.indexOfVersion1("a")], [undefined, 0]);
  documents.add("b/json", json({ id: "b", parent: "a" }));
  assertEquals([documents.indexOfVersion1("c"), documents.indexOfVersion1("b")], [2, 1]);
});

Deno.test("a layer that is its own ancestor has no place", () => {
  const documents = wanted(image.id);
  documents.add("a/json", json({ id: "a", parent: "b" }));
  documents.add("b/json", json({ id: "b", parent: "a" }));
  assertEquals(documents.indexOfVersion1("a"), undefined);
});

Deno.test("documents that are none, or lead in circles, are passed over", () => {
  const index = json({ schemaVersion: 2, manifests: [] });
  const documents = wanted(`sha256:${hexOf(index)}`);
  const odd = [
    ...["", "{", "[]", "null", '{"rootfs":7}', '{"layers":7}', '{"manifests":[{}]}'],
    '{"schemaVersion":1,"layers":[]}',
  ];
  for (const text of odd) {
    for (const name of ["x", "x/json", "manifest.json", "index.json"]) {
      documents.add(name, new TextEncoder().encode(text));
    }
  }
  documents.add("blobs/sha256/x", index);
  documents.end();
  assertEquals(documents.found, undefined);
});

Deno.test("documents without end are refused", () => {
  const documents = wanted(image.id);
  const large = new Uint8Array(8 << 20);
  assertThrows(
    () => {
      for (let count = 0; count < 9; count++) documents.add("x", large);
    },
    EnrootError,
    "documents have more than",
  );
});

/** The config with another comment. */
function rewritten({ config }: EngineImage): string {
  return JSON.stringify({ ...JSON.parse(new TextDecoder().decode(config)), comment: "another" });
}
