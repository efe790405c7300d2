/**
 * Fifty containers at once of five images that come and go for twenty minutes, while all that is not in
 * use is swept away.
 *
 * @module
 */

import { churn } from "../support/churn.ts";
import { onZfs } from "./on_zfs.ts";

/** Run it where OpenZFS is. @returns what was wrong */
export function checkChurn(): Promise<string[]> {
  return onZfs("tests/soak/churn.ts", 3600, "something was wrong where containers came and went");
}

if (import.meta.main) {
  const { containers, sweeps } = await churn({
    ...{ user: "plain user", seed: 1, seconds: 20 * 60 },
    ...{ workers: 50, images: 5 },
  });
  console.log(`${containers} containers, ${sweeps} sweeps`);
}
