import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseManifest } from "./manifest.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const ociType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const layer = {
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  digest: digest("b"),
  size: 2,
};
const image = {
  schemaVersion: 2,
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digest("a"), size: 1 },
  layers: [layer],
};
const index = {
  schemaVersion: 2,
  manifests: [{
    mediaType: ociType,
    digest: digest("c"),
    size: 3,
    platform: { os: "linux", architecture: "arm64", variant: "v8" },
    annotations: null,
  }],
};

Deno.test("an image manifest gives its config and layers in order", () => {
  const manifest = parseManifest(bytes(image), ociType, "x");
  assert(manifest.kind === "image");
  assertEquals(manifest.config.digest as string, digest("a"));
  assertEquals(manifest.layers.map(({ size }) => size), [2]);
});

Deno.test("the kind comes from the document, then the media type, then the shape", () => {
  assertEquals(parseManifest(bytes(index), undefined, "x").kind, "index");
  assertEquals(parseManifest(bytes(image), undefined, "x").kind, "image");
  assertEquals(parseManifest(bytes(index), `${indexType}; charset=utf-8`, "x").kind, "index");
  assertEquals(parseManifest(bytes(index), "application/json", "x").kind, "index");
  assertEquals(
    parseManifest(bytes({ ...index, mediaType: indexType }), ociType, "x").kind,
    "index",
  );
});

const bad: [what: string, document: Uint8Array, code: string, text: string][] = [
  ["no JSON", new TextEncoder().encode("{"), "bad-manifest", "no JSON"],
  ["no UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "bad-manifest", "no JSON"],
  ["an array", bytes([]), "bad-manifest", "no JSON object"],
  ["schema 1", bytes({ schemaVersion: 1, fsLayers: [] }), "schema-1", "schema 1"],
  ["an empty object", bytes({}), "bad-manifest", "schemaVersion"],
  [
    "a path in the place of a digest",
    bytes({ ...image, layers: [{ ...layer, digest: "sha256:../../etc/passwd" }] }),
    "bad-manifest",
    "layers.0.digest",
  ],
  [
    "a negative size",
    bytes({ ...image, layers: [{ ...layer, size: -1 }] }),
    "bad-manifest",
    "layers.0.size",
  ],
  [
    "an index as well",
    bytes({ ...image, manifests: [] }),
    "bad-manifest",
    "an index and a manifest in one",
  ],
  ["no config", bytes({ ...image, config: undefined }), "bad-manifest", "config"],
];
for (const [what, document, code, text] of bad) {
  Deno.test(`a manifest that is ${what} is refused as ${code}`, () => {
    const error = assertThrows(() => parseManifest(document, ociType, "img"), EnrootError, text);
    assertEquals(error.code, code);
    assert(error.message.startsWith("img"));
  });
}
