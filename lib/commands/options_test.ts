import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../errors.ts";
import { parseOptions } from "./options.ts";

const table = {
  values: { output: "o", arch: "a", rc: undefined },
  lists: { env: "e" },
  flags: { force: "f", root: "r" },
};

function seen(args: string[], endAtOperand = false): unknown[] {
  const options = parseOptions(args, { ...table, endAtOperand });
  return [
    options.value("output"),
    options.list("env"),
    options.flag("force"),
    options.flag("root"),
    options.operands,
  ];
}

const good: [args: string[], endAtOperand: boolean, expected: unknown[]][] = [
  [[], false, [undefined, [], false, false, []]],
  [["-o", "x", "a"], false, ["x", [], false, false, ["a"]]],
  [["--output", "x", "a"], false, ["x", [], false, false, ["a"]]],
  [["--output=x", "a"], false, ["x", [], false, false, ["a"]]],
  [["a", "-o", "x"], false, ["x", [], false, false, ["a"]]],
  [["--output=a=b"], false, ["a=b", [], false, false, []]],
  [["-o", "-x"], false, ["-x", [], false, false, []]],
  [["--output", "--force"], false, ["--force", [], false, false, []]],
  [["-e", "A=1", "--env=B", "-e", "C=x y"], false, [
    undefined,
    ["A=1", "B", "C=x y"],
    false,
    false,
    [],
  ]],
  [["-fo", "x", "a"], false, ["x", [], true, false, ["a"]]],
  [["-fr", "a"], false, [undefined, [], true, true, ["a"]]],
  [["123", "0x10"], false, [undefined, [], false, false, ["123", "0x10"]]],
  [["--", "-f", "--", "x"], false, [undefined, [], false, false, ["-f", "--", "x"]]],
  [["-f", "n", "sh", "-c", "x", "--", "y"], true, [undefined, [], true, false, [
    ...["n", "sh", "-c", "x", "--", "y"],
  ]]],
  [["-e", "A", "n", "-e", "B"], true, [undefined, ["A"], false, false, ["n", "-e", "B"]]],
  [["-", "x"], true, [undefined, [], false, false, ["-", "x"]]],
  [["-o", "x", "-o", "y"], false, ["y", [], false, false, []]],
  [["-ox", "a"], false, ["x", [], false, false, ["a"]]],
  [["-o=x", "-fo=-y=z"], false, ["-y=z", [], true, false, []]],
  [["-foutside", "-eA=1", "-e", "B=2"], false, ["utside", ["A=1", "B=2"], true, false, []]],
  [["-o7", "-o1.50"], false, ["1.50", [], false, false, []]],
  // Words that mean something in other parsers, or to objects.
  [["-f", "false", "--root", "true"], false, [undefined, [], true, true, ["false", "true"]]],
  [["-f", "constructor", "__proto__"], false, [undefined, [], true, false, [
    ...["constructor", "__proto__"],
  ]]],
  [["", "-o", " "], false, [" ", [], false, false, [""]]],
];
for (const [args, endAtOperand, expected] of good) {
  Deno.test(`${JSON.stringify(args)} parses${endAtOperand ? " up to the first operand" : ""}`, () => {
    assertEquals(seen(args, endAtOperand), expected);
  });
}

const bad: [args: string[], message: string][] = [
  [["--bogus"], "unknown option '--bogus'"],
  [["--bogus=x"], "unknown option '--bogus'"],
  [["-x"], "unknown option '-x'"],
  [["-fx"], "unknown option '-x' in '-fx'"],
  [["-x=1"], "unknown option '-x'"],
  [["--constructor=x"], "unknown option '--constructor'"],
  [["--__proto__"], "unknown option '--__proto__'"],
  [["--no-force"], "unknown option '--no-force'"],
  [["--output.x", "y"], "unknown option '--output.x'"],
  [["-output", "x"], "unknown option '-output': it is '--output'"],
  [["-force"], "unknown option '-force': it is '--force'"],
  [["-env=A=1"], "unknown option '-env': it is '--env'"],
  [["-o"], "option '--output' needs a value"],
  [["--output"], "option '--output' needs a value"],
  [["--output="], "option '--output' needs a value"],
  [["-o", ""], "option '--output' needs a value"],
  [["-o="], "option '--output' needs a value"],
  [["-fe"], "option '--env' needs a value"],
  [["--force=yes"], "option '--force' takes no value"],
  [["--force="], "option '--force' takes no value"],
  [["-f=1"], "option '--force' takes no value"],
  [["-rf=true"], "option '--force' takes no value"],
];
for (const [args, message] of bad) {
  Deno.test(`${JSON.stringify(args)} is refused: ${message}`, () => {
    assertThrows(() => seen(args), UsageError, message);
  });
}
