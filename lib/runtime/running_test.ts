import { assert, assertEquals } from "@std/assert";
import { isFirstOfNamespace, parseCommandLine, parseStat, runningIn } from "./running.ts";

Deno.test("a name with brackets and spaces does not shift the fields of /proc/PID/stat", () => {
  const rest = Array.from({ length: 18 }, (_, index) => String(index)).join(" ");
  assertEquals(parseStat(`42 (a) b) (c) S ${rest} 777 0 0\n`), {
    comm: "a) b) (c",
    state: "S",
    startTicks: 777,
  });
});

for (const bad of ["", "42", "42 (a)", "42 (a) S 1 2", "x (a) S"]) {
  Deno.test(`${JSON.stringify(bad)} is no line of /proc/PID/stat`, () => {
    assertEquals(parseStat(bad), undefined);
  });
}

const commandLines: [text: string, line: string][] = [
  ["sh\0-c\0echo  a\0", "sh -c echo  a"],
  ["sh\0-c\0\n  a\n  b\n\0", "sh -c  a b"],
  ["a\0\0b\0\0\0", "a  b"],
  ["", ""],
];
for (const [text, line] of commandLines) {
  Deno.test(`the arguments ${JSON.stringify(text)} are shown as '${line}'`, () => {
    assertEquals(parseCommandLine(text), line);
  });
}

Deno.test("arguments of any content are shown in no time", () => {
  const begun = performance.now();
  for (const each of [" ", "\0", "\n"]) parseCommandLine(`${each.repeat(2_000_000)}x`);
  // With the square of the length it would be hours.
  assert(performance.now() - begun < 60_000);
});

Deno.test("the processes of a root folder are found by their root directory", () => {
  const found = runningIn(["/", "/nonexistent"]);
  const here = found.get("/");
  assert(here !== undefined && here.length > 0);
  assertEquals([...found.keys()], ["/"]);
  const starts = here.map(({ startedAt }) => startedAt);
  assertEquals(starts, [...starts].sort((a, b) => a - b));
  assert(starts.every((time) => time <= Date.now()));
});

const statuses: [status: string, isFirst: boolean][] = [
  ["Name:\ta\nNSpid:\t4711\t1\nNSpgid:\t4711\t1\n", true],
  ["Name:\ta\nNSpid:\t4711\t12\t1\n", true],
  ["Name:\ta\nNSpid:\t4711\t2\nNSpgid:\t4711\t1\n", false],
  ["Name:\ta\nNSpid:\t4711\t11\n", false],
  ["Name:\tNSpid:\\t1\nNSpid:\t4711\n", false],
];
for (const [status, isFirst] of statuses) {
  Deno.test(`${JSON.stringify(status)}: ${isFirst ? "the" : "not the"} first of a namespace`, () => {
    assertEquals(isFirstOfNamespace(status), isFirst);
  });
}
