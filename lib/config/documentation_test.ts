import { assertEquals } from "@std/assert";
import { ignoredKeys, isAllowedKey, keys } from "./keys.ts";

const text = await Deno.readTextFile(new URL("../../docs/configuration.md", import.meta.url));

Deno.test("docs/configuration.md lists every key with its default, and no other", () => {
  const rows = [...text.matchAll(/^\| `(ENROOT_[A-Z_]+)` *\| (.*?) *\|/gm)];
  const documented = rows.map(([, key, shown]) => [key, shown?.replaceAll("`", "")]);
  const known = Object.entries(keys).map(([key, { shown }]) => [key, shown]);
  const byKey = (a: unknown[], b: unknown[]): number => String(a[0]) < String(b[0]) ? -1 : 1;
  assertEquals(documented.toSorted(byKey), known.toSorted(byKey));
});

Deno.test("docs/configuration.md names the keys that are accepted and ignored", () => {
  for (const key of ignoredKeys) {
    assertEquals([text.includes(`\`${key}\``), isAllowedKey(key)], [true, true]);
  }
});
