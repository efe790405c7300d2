/**
 * `enroot start`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { readScript, startContainer, startOptions } from "./start_container.ts";

/** Starts a container: the process becomes its command. */
export const command: Command = {
  usage: `start [OPTION]… NAME|IMAGE [COMMAND [ARG…]]

Start a container, or an image file, in a container that is gone when it ends. The
command runs with the PID of this process.

  -c, --conf FILE      run a configuration script first: bash with any of the functions
                       environ, mounts, hooks and rc
  -e, --env KEY[=VAL]  set a variable; KEY alone takes the host's value
  -m, --mount FSTAB    mount something: the fields of a line of fstab with : between them
      --rc FILE        run FILE in the place of the container's /etc/rc
  -r, --root           be root in the container
  -w, --rw             make the container's root filesystem writable
      --pid            give it a process namespace of its own: the command is a child of
                       this process, which hands on signals and ends as it ends
      --net            give it a network of its own
      --ipc            give it an IPC namespace of its own
      --uts            give it a host name of its own
`,
  async run(context) {
    const options = parseOptions(context.args, startOptions);
    const [operand, ...words] = options.operands;
    if (operand === undefined) throw new UsageError("'start' needs a container name");
    const conf = options.value("conf");
    const script = conf === undefined ? {} : { script: readScript(conf) };
    return await startContainer(context, { operand, words, options, ...script });
  },
};
