import { assertEquals } from "@std/assert";
import { conditionOf } from "./hook_condition.ts";

Deno.test("a hook's condition is a line of its own near the beginning of the file", async () => {
  const path = await Deno.makeTempFile();
  try {
    const table: readonly [text: string, names: readonly string[] | undefined][] = [
      ["#!/bin/sh\n# enroot-when: ONE\necho\n", ["ONE"]],
      ["#!/bin/sh\n# Why.\n# enroot-when: ONE TWO_2\n", ["ONE", "TWO_2"]],
      ["#!/bin/sh\necho\n", undefined],
      ["#!/bin/sh\n# enroot-when:\n", undefined],
      ["#!/bin/sh\n# enroot-when: ONE; rm\n", undefined],
      ["#!/bin/sh\necho '# enroot-when: ONE'\n", undefined],
      [`#!/bin/sh\n${"#".repeat(2000)}\n# enroot-when: ONE\n`, undefined],
      ["", undefined],
    ];
    for (const [text, names] of table) {
      await Deno.writeTextFile(path, text);
      assertEquals(conditionOf(path), names, text);
    }
    assertEquals(conditionOf(`${path}/none`), undefined);
  } finally {
    await Deno.remove(path);
  }
});
