import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { layerCompression } from "./media_type.ts";

Deno.test("a layer's media type says how it is compressed", () => {
  assertEquals(layerCompression("application/vnd.oci.image.layer.v1.tar"), "none");
  assertEquals(layerCompression("application/vnd.docker.image.rootfs.diff.tar.gzip"), "gzip");
  assertEquals(layerCompression("application/vnd.oci.image.layer.v1.tar+zstd"), "zstd");
});

const refused: [mediaType: string, code: string][] = [
  ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign-layer"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar", "foreign-layer"],
  ["text/plain", "unknown-layer"],
  ["", "unknown-layer"],
  // What every object has.
  ["constructor", "unknown-layer"],
  ["__proto__", "unknown-layer"],
];
for (const [mediaType, code] of refused) {
  Deno.test(`a layer of the media type '${mediaType}' is refused: ${code}`, () => {
    assertEquals(assertThrows(() => layerCompression(mediaType), EnrootError).code, code);
  });
}
