/**
 * `enroot info`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { describeConfig } from "../config/describe.ts";
import { executableForm } from "../process/assets.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { configOf } from "./store.ts";
import { version } from "./version.ts";

/** Shows the configuration in force and what this build is. */
export const command: Command = {
  usage: `info [--json] [--check]

Show what this build is and the configuration in force.

      --json   as JSON
      --check  show what this machine lacks instead: the same as 'enroot check'
`,
  async run(context) {
    const options = parseOptions(context.args, { flags: { json: undefined, check: undefined } });
    if (options.operands.length > 0) {
      throw new UsageError(`'info' takes no arguments: '${options.operands[0]}'`);
    }
    if (options.flag("check")) {
      const { checkCommand } = await import("./cold.ts");
      return await checkCommand.run({ ...context, args: options.flag("json") ? ["--json"] : [] });
    }
    const config = await configOf(context);
    const build = {
      version,
      executable: executableForm(),
      deno: Deno.version.deno,
      architecture: Deno.build.arch,
    };
    const settings = describeConfig(config);
    context.print(
      options.flag("json")
        ? `${JSON.stringify({ ...build, configuration: Object.fromEntries(settings) }, null, 2)}\n`
        : [...Object.entries(build), ...settings].map(([key, value]) => `${key}=${value}\n`).join(
          "",
        ),
    );
    return 0;
  },
};
