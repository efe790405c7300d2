/**
 * `enroot help`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import { commands } from "./dispatch.ts";

/** Shows the list of commands, or one command's usage. */
export const command: Command = {
  usage: `help [COMMAND]

Show the list of commands, or how one of them is used.
`,
  async run({ args: [name, ...more], print }) {
    if (more.length > 0) throw new UsageError(`'help' takes one command: '${more[0]}'`);
    if (name !== undefined) {
      const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
      if (entry?.summary === undefined) throw new UsageError(`unknown command '${name}'`);
      print(`Usage: enroot ${(await entry.load()).usage}`);
      return 0;
    }
    const shown = Object.entries(commands).filter(([, { summary }]) => summary !== undefined);
    const width = Math.max(...shown.map(([each]) => each.length));
    const list = shown.map(([each, { summary = "" }]) => `  ${each.padEnd(width)}  ${summary}\n`);
    print(
      `Usage: enroot [-q|--quiet] [-v|--verbose] COMMAND [ARG…]

Run containers without a daemon and without root.

Commands:
${list.join("")}
enroot COMMAND --help shows how a command is used.
`,
    );
    return 0;
  },
};
