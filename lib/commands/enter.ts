/**
 * The second stage of `enroot start`, which only the program itself calls.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { enter } from "../runtime/enter.ts";
import type { Command } from "./command.ts";

/** Carries out the plan whose descriptor it is given. */
export const command: Command = {
  usage: "internal-enter DESCRIPTOR\n",
  run({ args: [descriptor, ...more], terminal }) {
    if (descriptor === undefined || more.length > 0 || !/^\d{1,9}$/.test(descriptor)) {
      throw new UsageError("'internal-enter' is not for users");
    }
    return enter(Number(descriptor), (message) => terminal.log("warning", message));
  },
};
