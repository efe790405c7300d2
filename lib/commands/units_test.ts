import { assertEquals } from "@std/assert";
import { formatAge, formatBytes } from "./units.ts";

for (
  const [bytes, text] of [
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [398_458_880, "380 MiB"],
    [5 * 1024 ** 4, "5.0 TiB"],
  ] as const
) {
  Deno.test(`${bytes} bytes are ${text}`, () => assertEquals(formatBytes(bytes), text));
}

for (
  const [seconds, text] of [
    [0, "0 s"],
    [59.9, "59 s"],
    [3599, "59 min"],
    [47 * 3600, "47 h"],
    [3 * 86_400 + 5, "3 d"],
  ] as const
) {
  Deno.test(`${seconds} seconds are ${text}`, () => assertEquals(formatAge(seconds), text));
}
