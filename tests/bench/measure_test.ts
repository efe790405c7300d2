import { assertEquals, assertThrows } from "@std/assert";
import { compare, measure, median } from "./measure.ts";

Deno.test("the median is the middle value", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 3, 2]), 2.5);
  assertThrows(() => median([]), Error, "nothing was measured");
});

Deno.test("contenders run in turn, each after its preparation, the first round uncounted", async () => {
  const log: string[] = [];
  const contender = (name: string) => ({
    name,
    prepare: () => Promise.resolve(void log.push(`prepare ${name}`)),
    run: () => Promise.resolve(void log.push(`run ${name}`)),
  });
  const times = await measure([contender("a"), contender("b")], 2);
  const round = ["prepare a", "run a", "prepare b", "run b"];
  assertEquals(log, [...round, ...round, ...round]);
  assertEquals(times.map((list) => list.length), [2, 2]);
});

Deno.test("a ratio above its bound is not ok", () => {
  const base = { name: "x", baseline: "y", baselineTimes: [10, 10, 100] };
  assertEquals(compare({ ...base, bound: 1.2, times: [12, 12, 1] }).ok, true);
  assertEquals(compare({ ...base, bound: 1.2, times: [13, 13, 1] }).ok, false);
});
