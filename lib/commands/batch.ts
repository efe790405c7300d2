/**
 * `enroot batch`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { readScript, startContainer } from "./start_container.ts";

/** Starts what a configuration script names. */
export const command: Command = {
  usage: `batch CONFIG [COMMAND [ARG…]]

Start the container or image that the line #ENROOT_ROOTFS=… of a configuration script
names, as 'enroot start --conf CONFIG' does. A script can begin with '#!/usr/bin/enroot
batch' and be run by itself.
`,
  async run(context) {
    const options = parseOptions(context.args, { endAtOperand: true });
    const [conf, ...words] = options.operands;
    if (conf === undefined) throw new UsageError("'batch' needs a configuration script");
    return await startContainer(context, { words, options, script: readScript(conf) });
  },
};
