import { assertEquals, assertThrows } from "@std/assert";
import { commands } from "../lib/commands/dispatch.ts";
import { parseUsage } from "./usage.ts";

Deno.test("a help is read with its options, values, choices and operands", () => {
  const usage = parseUsage(
    `frob [-a|--arch ARCH] [-f|--format one|two] [-e|--env KEY[=VAL]]… [--dry]
       [-j N] LIST|- [NAME…]

Frob something:
words that are no list.

  LIST  a file
        of many lines

  -a, --arch ARCH      the architecture
  -f, --format FMT     one: this;
                       two: that
  -e, --env KEY[=VAL]  a variable
      --dry            do nothing
  -j N                 how many
`,
  );
  const plain = { choices: [], repeats: false };
  assertEquals(usage, {
    name: "frob",
    synopsis:
      "frob [-a|--arch ARCH] [-f|--format one|two] [-e|--env KEY[=VAL]]… [--dry] [-j N] LIST|- [NAME…]",
    options: [
      { ...plain, short: "-a", long: "--arch", value: "ARCH", about: "the architecture" },
      {
        ...plain,
        ...{ short: "-f", long: "--format", value: "FMT", choices: ["one", "two"] },
        about: "one: this; two: that",
      },
      {
        ...{ short: "-e", long: "--env", value: "KEY[=VAL]", choices: [], repeats: true },
        about: "a variable",
      },
      { ...plain, long: "--dry", about: "do nothing" },
      { ...plain, short: "-j", value: "N", about: "how many" },
    ],
    operands: [
      { kinds: ["LIST", "-"], repeats: false },
      { kinds: ["NAME"], repeats: true },
    ],
    terms: new Map([["LIST", "a file of many lines"]]),
    endsAtOperand: false,
  });
});

Deno.test("a synopsis that sums its options up takes those of the list, and a command line ends them", () => {
  const usage = parseUsage(
    "run [OPTION]… NAME [COMMAND [ARG…]]\n\nRun.\n\n  -r, --root  as root\n",
  );
  assertEquals(usage.options.map(({ long }) => long), ["--root"]);
  assertEquals(usage.operands.map(({ kinds }) => kinds), [["NAME"], ["COMMAND"], ["ARG"]]);
  assertEquals(usage.endsAtOperand, true);
});

Deno.test("a synopsis and a list that do not agree are refused", () => {
  const list = "\n\nFrob.\n\n  -a, --arch ARCH  the architecture\n";
  assertThrows(() => parseUsage(`frob NAME${list}`), Error, "the synopsis lacks --arch");
  assertThrows(() => parseUsage(`frob [--arch ARCH]${list}`), Error, "the synopsis lacks --arch");
  assertThrows(
    () => parseUsage(`frob [-a|--arch ARCH] [--dry]${list}`),
    Error,
    "--dry is not explained",
  );
});

Deno.test("the help of every command can be read", async () => {
  let options = 0;
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (summary === undefined) continue;
    const usage = parseUsage((await load()).usage);
    assertEquals(usage.name, name);
    for (const { short, long, about } of usage.options) {
      assertEquals([short ?? long, about !== ""], [short ?? long, true]);
    }
    options += usage.options.length;
  }
  assertEquals(options > 30, true);
});
