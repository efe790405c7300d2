import { assertEquals } from "@std/assert";
import { Limiter } from "./limiter.ts";

for (const [limit, most] of [[1, 1], [3, 3], [0, 20]] as const) {
  Deno.test(`a limit of ${limit} lets ${most} of 20 work at once`, async () => {
    const limiter = new Limiter(limit);
    let [now, seen, done] = [0, 0, 0];
    await Promise.all(Array.from({ length: 20 }, async () => {
      using _turn = await limiter.turn();
      seen = Math.max(seen, ++now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      now--;
      done++;
    }));
    assertEquals([seen, done], [most, 20]);
  });
}

Deno.test("a turn that ends twice frees one place", async () => {
  const limiter = new Limiter(1);
  const turn = await limiter.turn();
  turn[Symbol.dispose]();
  turn[Symbol.dispose]();
  using _first = await limiter.turn();
  let isNext = false;
  const second = limiter.turn().then((next) => {
    isNext = true;
    return next;
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(isNext, false);
  _first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
});
