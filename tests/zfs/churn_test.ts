import { assert } from "@std/assert";
import { churn } from "../support/churn.ts";

Deno.test("containers come and go while all that is not in use is swept away", async () => {
  const { containers, sweeps } = await churn({
    ...{ user: "plain user", seed: 20_261_121, seconds: 12 },
    ...{ workers: 3, images: 2 },
  });
  assert(containers > 0 && sweeps > 0, `${containers} containers, ${sweeps} sweeps`);
});
