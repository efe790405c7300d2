/**
 * The second stage of a start, as a program of its own: it loads what it needs, and nothing of the
 * commands. Every job waits for it.
 *
 * @module
 */

import { callerEnvironment } from "../process/caller.ts";
import { openTerminal, printOut, report } from "./console.ts";
import { command as enter } from "./enter.ts";
import { command as enterImage } from "./enter_image.ts";

/** A start that cannot be carried on ends like a command that fails. */
async function secondStage([name, ...args]: readonly string[]): Promise<number> {
  const environment = callerEnvironment();
  const terminal = openTerminal(environment);
  try {
    const command = name === "internal-enter-image" ? enterImage : enter;
    return await command.run({ args, terminal, print: printOut, environment });
  } catch (error) {
    report(terminal, error, environment);
    return 1;
  }
}

// Loaded for its own sake it ends by itself: only then is kept what the runtime compiled.
if (import.meta.main && Deno.args[0] !== "internal-warm") {
  Deno.exit(await secondStage(Deno.args));
}
