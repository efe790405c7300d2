/**
 * The second stage of `enroot start IMAGE` where images are files, which only the program itself calls.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { enter } from "../runtime/enter.ts";
import { mountImage } from "../runtime/image_root.ts";
import type { Plan } from "../runtime/plan.ts";
import type { Command } from "./command.ts";

/** Makes the root folder of the image, and carries out the plan whose descriptor it is given. */
export const command: Command = {
  usage: "internal-enter-image PLAN MOUNT\n",
  run({ args: [descriptor = "", mounted = "", ...more], terminal }) {
    if (more.length > 0 || !/^\d{1,9}$/.test(descriptor) || !/^\d{1,9}$/.test(mounted)) {
      throw new UsageError("'internal-enter-image' is not for users");
    }
    const plan: Plan = JSON.parse(Deno.readTextFileSync(`/proc/self/fd/${descriptor}`));
    mountImage(plan, Number(mounted));
    return enter(Number(descriptor), (message) => terminal.log("warning", message));
  },
};
