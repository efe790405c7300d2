import { assertEquals, assertMatch } from "@std/assert";
import { Bed } from "../support/bed.ts";

/** As printf(1) takes it: no argument here can hold such bytes. */
const words: [word: string, isUtf8: boolean][] = [
  ["plain", true],
  ["\\303\\274", true],
  ["\\342\\202\\254", true],
  ["\\355\\237\\277", true],
  ["\\360\\237\\220\\263", true],
  ["\\364\\217\\277\\277", true],
  ["\\377", false],
  ["a\\200", false],
  ["\\303", false],
  ["\\342\\202", false],
  ["\\342\\202x", false],
  ["\\300\\257", false],
  ["\\340\\237\\277", false],
  ["\\355\\240\\200", false],
  ["\\360\\217\\277\\277", false],
  ["\\364\\220\\200\\200", false],
  ["\\370\\210\\200\\200\\200", false],
];

Deno.test("an argument that is not UTF-8 is refused, and acted on in no other form", async (t) => {
  await using bed = await Bed.make("plain user");
  for (const [word, isUtf8] of words) {
    await t.step(`${word} ${isUtf8 ? "arrives" : "is refused"}`, async () => {
      const script = 'exec "$1" remove -f box "$(printf "$2")"';
      const { code, stderr } = await bed.run(["sh", "-c", script, "sh", bed.executable, word]);
      assertEquals(code, 1);
      assertMatch(stderr, isUtf8 ? /no container/ : /argument 4 is not UTF-8/);
      assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
    });
  }
});
