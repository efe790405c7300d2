import { crash } from "../support/crash.ts";

// A few of what `deno task soak crash` does a hundred times.
Deno.test("after kill -9 at any moment the next command works, and a sweep leaves nothing", async () => {
  await crash({
    user: "plain user",
    seed: 20_261_121,
    points: 2,
    only: ["import, chain", "create --force"],
    rebootEvery: 2,
  });
});
