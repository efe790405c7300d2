import { assertEquals } from "@std/assert";
import { levelOf } from "./console.ts";

const levels: [word: string | undefined, level: string][] = [
  ["WARN", "warning"],
  ["error", "error"],
  ["", "info"],
  [undefined, "info"],
  ["constructor", "info"],
  ["__proto__", "info"],
];
for (const [word, level] of levels) {
  Deno.test(`the word ${word} means the level ${level}`, () => assertEquals(levelOf(word), level));
}
