/**
 * `enroot exec`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { callerState } from "../process/caller.ts";
import { join } from "../runtime/join.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";

/** Runs a command in a container that runs: the process becomes the command. */
export const command: Command = {
  usage: `exec [-e|--env KEY[=VAL]]… PID COMMAND [ARG…]

Run a command in a container that runs, with the environment, the root, the working
directory and the privileges of its process PID, which 'enroot list --fancy' shows. The
command has the PID of this process, unless the container was started with --pid.

  -e, --env KEY[=VAL]  set a variable; KEY alone takes the host's value
`,
  run({ args, environment }) {
    const options = parseOptions(args, { lists: { env: "e" }, endAtOperand: true });
    const [pid, ...words] = options.operands;
    if (pid === undefined) throw new UsageError("'exec' needs a process ID");
    if (!/^[1-9]\d{0,9}$/.test(pid)) throw new UsageError(`'${pid}' is no process ID`);
    if (words.length === 0) throw new UsageError("'exec' needs a command");
    return join({
      pid: Number(pid),
      command: words,
      environmentOptions: options.list("env"),
      host: environment,
      helper: helperPath("enroot-nsenter"),
      caller: callerState(),
    });
  },
};
