import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { hexOf, parseDiffId, parseDigest } from "./digest.ts";

const hex = "0123456789abcdef".repeat(4);

Deno.test("a sha256 digest parses to itself and gives its hex", () => {
  assertEquals(hexOf(parseDigest(`sha256:${hex}`)), hex);
  assertEquals(hexOf(parseDiffId(`sha256:${hex}`)), hex);
});

for (
  const bad of [
    "",
    hex,
    `sha512:${hex}`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}0`,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}\n`,
    `sha256:../${hex.slice(3)}`,
  ]
) {
  Deno.test(`digest ${JSON.stringify(bad)} is refused`, () => {
    assertThrows(() => parseDigest(bad), EnrootError, "64 hex digits");
    assertThrows(() => parseDiffId(bad), EnrootError, "64 hex digits");
  });
}
