/**
 * `enroot version`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import manifest from "../../deno.json" with { type: "json" };
import type { Command } from "./command.ts";

/** The program's version. */
export const version: string = manifest.version;

/** Shows the version, one line. */
export const command: Command = {
  usage: `version

Show the version of the program.
`,
  run({ args, print }) {
    if (args.length > 0) throw new UsageError(`'version' takes no arguments: '${args[0]}'`);
    print(`${version}\n`);
    return Promise.resolve(0);
  },
};
