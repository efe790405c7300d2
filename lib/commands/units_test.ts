import { assertEquals } from "@std/assert";
import { formatBytes } from "./units.ts";

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
