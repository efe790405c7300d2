import { assertEquals } from "@std/assert";
import { makeImportsLazy } from "./lazy_imports.ts";

Deno.test("the dynamic import of a part is computed, others are left as they are", () => {
  for (
    const [before, after] of [
      [
        'load: () => import("./list-AB12.js")',
        "load: () => import(new URL(`./list-AB12.js`, import.meta.url).href)",
      ],
      [
        'a(import("./a.js"), import("../b.js"))',
        "a(import(new URL(`./a.js`, import.meta.url).href), import(new URL(`../b.js`, import.meta.url).href))",
      ],
      ['await import("node:zlib")', 'await import("node:zlib")'],
      ['import { x } from "./chunk.js";', 'import { x } from "./chunk.js";'],
      ['import "./chunk.js";', 'import "./chunk.js";'],
      ['reimport("./chunk.js")', 'reimport("./chunk.js")'],
    ] as const
  ) {
    assertEquals(makeImportsLazy(before), after);
  }
});

Deno.test("a program with lazy parts runs, and a part is not read before it is asked for", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/main.js`,
      makeImportsLazy(
        'if (Deno.args[0]) console.log((await import("./part.js")).word); else console.log("no");',
      ),
    );
    const run = async (...args: string[]): Promise<string> => {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--allow-read", "--no-config", `${folder}/main.js`, ...args],
        env: { NO_COLOR: "1" },
      }).output();
      return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    };
    await Deno.writeTextFile(`${folder}/part.js`, "this is no program");
    assertEquals(await run(), "no\n");
    await Deno.writeTextFile(`${folder}/part.js`, 'export const word = "part";');
    assertEquals(await run("yes"), "part\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
