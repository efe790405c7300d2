import { assertEquals } from "@std/assert";

import { countReport } from "./test_run.ts";

const report = (...cases: string[]): string =>
  `<?xml version="1.0"?><testsuites><testsuite name="a">${cases.join("")}</testsuite></testsuites>`;
const good = '<testcase name="a" time="1"></testcase>';
const bad =
  '<testcase name="b &amp; &lt;c" classname="./b_test.ts" time="1"><failure message="x">x</failure></testcase>';
const ignored = '<testcase name="c" time="0"><skipped/></testcase>';

Deno.test("a report is counted, and what proves nothing counts as a failure", async () => {
  const path = await Deno.makeTempFile();
  try {
    const count = async (text: string, code: number): Promise<number[]> => {
      await Deno.writeTextFile(path, text);
      const { passed, failed } = await countReport(path, code);
      return [passed, failed];
    };
    assertEquals(await count(report(good, ignored, good), 0), [2, 0]);
    assertEquals(await count(report(good, bad), 1), [1, 1]);
    assertEquals(await count(report(good), 1), [1, 1], "a module could not be loaded");
    assertEquals(await count(report(ignored), 0), [0, 1]);
    assertEquals(await count(report(), 0), [0, 1]);
    assertEquals(await countReport(`${path}.none`, 0), {
      passed: 0,
      failed: 1,
      failures: ["a run that ended with code 0"],
    });
    await Deno.writeTextFile(path, report(good, bad));
    assertEquals((await countReport(path, 1)).failures, ["./b_test.ts: b & <c: x"]);
  } finally {
    await Deno.remove(path);
  }
});
