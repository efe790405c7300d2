import { assertEquals } from "@std/assert";
import { addEnvironmentFile, addEnvironmentOption, environmentFileOf } from "./environ.ts";

const host = { TERM: "xterm", SECRET: "s", ENROOT_X: "e" };

const files: [text: string, expected: Record<string, string>][] = [
  ["A=1\nB=two words\n", { A: "1", B: "two words" }],
  ["A=1\nA=2", { A: "2" }],
  ['A="quoted"\nB=\'single\'\nC=""twice""', { A: "quoted", B: "single", C: '"twice"' }],
  ["A=it's\nB=\"open", { A: "it's", B: '"open' }],
  ["TERM=${TERM}\nB=x${NONE}y", { TERM: "xterm", B: "xy" }],
  ["A=$TERM $(id) `id`", { A: "$TERM $(id) `id`" }],
  ["# C=1\n\n=x\nno line\n1A=x\nENROOT_Y=1\n", {}],
  ["A=\r\nB=b=c\r\n", { A: "", B: "b=c" }],
  ["  A=1", { A: "1" }],
  ["A=${ENROOT_DOLLAR}{TERM}", { A: "${TERM}" }],
  ["A=${constructor}${toString}|", { A: "|" }],
  ["A=x\0y\nB=2", { B: "2" }],
  ["A=one\u2028line\nB=a\rb", { A: "one\u2028line", B: "a\rb" }],
];
for (const [text, expected] of files) {
  Deno.test(`the environment file ${JSON.stringify(text)} is read`, () => {
    const environment = new Map<string, string>();
    addEnvironmentFile(environment, text, host);
    assertEquals(Object.fromEntries(environment), expected);
  });
}

const options: [option: string, expected: Record<string, string>][] = [
  ["A=1", { A: "1" }],
  ["A=", { A: "" }],
  ["A=b=${TERM}", { A: "b=${TERM}" }],
  ["TERM", { TERM: "xterm" }],
  ["NONE", {}],
  ["ENROOT_X", {}],
  ["ENROOT_X=1", {}],
  ["=1", {}],
  ["constructor", {}],
];
for (const [option, expected] of options) {
  Deno.test(`--env ${option} sets ${JSON.stringify(expected)}`, () => {
    const environment = new Map<string, string>();
    addEnvironmentOption(environment, option, host);
    assertEquals(Object.fromEntries(environment), expected);
  });
}

Deno.test("an environment that is written to a file and read again is the same", () => {
  const values = [
    ...["", " ", "plain", "a=b", '"', '""', '"x"', "'x'", '"x" ', "'x'\t", "x\r", '"x"\r', "\r"],
    ...["${TERM}", "$TERM", "${ENROOT_DOLLAR}", "$${TERM}", "\u2028", "ü", "# no comment", " x "],
  ];
  const environment = new Map(values.map((value, index) => [`V${index}`, value]));
  const { text, rest } = environmentFileOf(environment);
  const read = new Map<string, string>();
  addEnvironmentFile(read, text, host);
  assertEquals([read, rest.size], [environment, 0]);
});

Deno.test("what an environment file cannot say is kept apart from it", () => {
  const odd = new Map([["A", "two\nlines"], ["B C", "x"], ["1", "x"]]);
  const { text, rest } = environmentFileOf(new Map([["D", "x"], ...odd]));
  assertEquals([text, rest], ["D=x\n", odd]);
});
