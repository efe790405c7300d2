import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseContainerName } from "./container_name.ts";

for (
  const good of ["a", "ubuntu+24.04", "a b", "é:x", "x".repeat(128), "é".repeat(64), "a-", "a."]
) {
  Deno.test(`container name ${JSON.stringify(good.slice(0, 20))} is allowed`, () => {
    assertEquals(parseContainerName(good), good);
  });
}

const bad: [name: string, why: string][] = [
  ["", "is empty"],
  ["a/b", "holds a '/'"],
  ["..", "begins with '.'"],
  [".hidden", "begins with '.'"],
  ["-f", "begins with '-'"],
  ["a\nb", "control character"],
  ["a\x7f", "control character"],
  ["a\u0085", "control character"],
  ["\ud800", "well-formed"],
  ["x".repeat(129), "has 129 bytes"],
  ["é".repeat(65), "has 130 bytes"],
];
for (const [name, why] of bad) {
  Deno.test(`container name ${JSON.stringify(name.slice(0, 20))} is refused: ${why}`, () => {
    assertThrows(() => parseContainerName(name), EnrootError, why);
  });
}
