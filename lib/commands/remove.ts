/**
 * `enroot remove`
 *
 * @module
 */

import { EnrootError, UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { parseContainerName } from "../storage/container_name.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import type { Command, Context } from "./command.ts";
import { parseOptions } from "./options.ts";
import { configOf, openStore } from "./store.ts";

/** Removes containers with all their files. */
export const command: Command = {
  usage: `remove [-f|--force] NAME…

Remove containers with all their files.

  -f, --force  do not ask
`,
  async run(context) {
    const options = parseOptions(context.args, { flags: { force: "f" } });
    if (options.operands.length === 0) throw new UsageError("'remove' needs a container name");
    const names = options.operands.map(parseContainerName);
    const config = await configOf(context);
    const store = await openStore(context, config);
    // All of them are looked at before the first is gone.
    const leaving = new Set<string>();
    for (const name of names) {
      if (await store.hasContainer(name)) continue;
      if (!await store.isLeaving(name)) throw noSuchContainer(name);
      leaving.add(name);
    }
    for (const name of names) {
      if (leaving.has(name)) {
        context.terminal.log("info", `Container ${name} is removed already, and is still in use`);
        continue;
      }
      if (!options.flag("force") && !config.forceOverride && !confirmed(context, name)) continue;
      await withTermination(() => store.removeContainer(name));
      context.terminal.log("info", `Removed container ${name}`);
    }
    await store.maintain();
    return 0;
  },
};

/** Ask on the terminal; without one nobody can answer. */
function confirmed(context: Context, name: string): boolean {
  if (!Deno.stdin.isTerminal()) {
    throw new EnrootError(
      "not-confirmed",
      `container '${name}' is not removed: nobody is there to confirm it (--force does not ask)`,
    );
  }
  Deno.stderr.writeSync(new TextEncoder().encode(`Remove container ${name}? [y/N] `));
  const answer = new Uint8Array(64);
  const length = Deno.stdin.readSync(answer) ?? 0;
  const yes = /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(answer.subarray(0, length)));
  if (!yes) context.terminal.log("info", `Kept container ${name}`);
  return yes;
}
