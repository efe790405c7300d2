/**
 * From the command line to a command, and from its outcome to an exit code.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { callerEnvironment, callerState } from "../process/caller.ts";
import { endBySignal, TerminatedBySignal } from "../process/signals.ts";
import { command as batch } from "./batch.ts";
import type { Command, Context } from "./command.ts";
import { openTerminal, printError, printOut, report } from "./console.ts";
import { command as create } from "./create.ts";
import { command as exec } from "./exec.ts";
import { command as help } from "./help.ts";
import { command as info } from "./info.ts";
import { command as list } from "./list.ts";
import { command as mount } from "./mount.ts";
import { parseOptions } from "./options.ts";
import { command as release } from "./release.ts";
import { command as remove } from "./remove.ts";
import { command as start } from "./start.ts";
import { command as version } from "./version.ts";

/** One line of the list of commands. */
interface Entry {
  /** What it does, for the list of commands; absent for what only the program itself calls. */
  readonly summary?: string;
  /** What jobs wait for is there already; the rest comes with all that it needs. */
  readonly load: () => Command | Promise<Command>;
}

/** The commands by name, in the order of the help. */
export const commands: Readonly<Record<string, Entry>> = {
  import: {
    summary: "Import an image as a file",
    load: async () => (await import("./cold.ts")).importCommand,
  },
  create: {
    summary: "Create a container from an image file",
    load: () => create,
  },
  load: {
    summary: "Import an image and create a container from it in one step",
    load: async () => (await import("./cold.ts")).loadCommand,
  },
  start: {
    summary: "Start a container, or an image without one",
    load: () => start,
  },
  exec: {
    summary: "Run a command in a container that runs",
    load: () => exec,
  },
  batch: {
    summary: "Start what a configuration script names",
    load: () => batch,
  },
  list: {
    summary: "List containers",
    load: () => list,
  },
  export: {
    summary: "Export a container to a file or to another host",
    load: async () => (await import("./cold.ts")).exportCommand,
  },
  remove: {
    summary: "Remove containers",
    load: () => remove,
  },
  bundle: {
    summary: "Make one file that starts an image without enroot",
    load: async () => (await import("./cold.ts")).bundleCommand,
  },
  digest: {
    summary: "Show the digest of an image",
    load: async () => (await import("./cold.ts")).digestCommand,
  },
  prewarm: {
    summary: "Have many images at hand before they are needed",
    load: async () => (await import("./cold.ts")).prewarmCommand,
  },
  cache: {
    summary: "Look after what is kept of images",
    load: async () => (await import("./cold.ts")).cacheCommand,
  },
  info: {
    summary: "Show the configuration and the build",
    load: () => info,
  },
  check: {
    summary: "Check that this machine has what the other commands need",
    load: async () => (await import("./cold.ts")).checkCommand,
  },
  version: {
    summary: "Show the version",
    load: () => version,
  },
  help: {
    summary: "Show this help, or that of a command",
    load: () => help,
  },
  "install-helper": {
    summary: "Install what plain users need on ZFS (root)",
    load: async () => (await import("./cold.ts")).installHelperCommand,
  },
  "internal-bundle": { load: async () => (await import("./cold.ts")).runBundleCommand },
  "internal-enter": { load: async () => (await import("./cold.ts")).enterCommand },
  "internal-enter-image": { load: async () => (await import("./cold.ts")).enterImageCommand },
  "internal-serve-overlay": {
    load: async () => (await import("./cold.ts")).serveOverlayCommand,
  },
  "internal-mount": { load: () => mount },
  "internal-cdi": { load: async () => (await import("./cold.ts")).cdiCommand },
  "internal-release": { load: () => release },
  "internal-checkpoint": { load: async () => (await import("./cold.ts")).checkpointCommand },
  "internal-warm": { load: async () => (await import("./cold.ts")).warmCommand },
};

/**
 * Run the program.
 *
 * @param args its arguments, without its name
 * @returns the exit code; a signal that ended a command ends the process, after the clean-up, in the
 * same way
 */
export async function dispatch(args: readonly string[]): Promise<number> {
  const environment = callerEnvironment();
  const terminal = openTerminal(environment);
  let command: Command | undefined;
  let name: string | undefined;
  try {
    const global = parseOptions(calledAs(args), {
      flags: { quiet: "q", verbose: "v", help: "h" },
      endAtOperand: true,
    });
    if (global.flag("verbose")) terminal.level = "debug";
    if (global.flag("quiet")) terminal.level = "error";
    const [first, ...rest] = global.operands;
    name = global.flag("help") ? "help" : first;
    if (name === undefined) throw new UsageError("no command is given");
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (entry === undefined) throw new UsageError(`unknown command '${name}'`);
    command = await entry.load();
    if (asksForHelp(rest, entry)) {
      printOut(`Usage: enroot ${command.usage}`);
      return 0;
    }
    const context: Context = { args: rest, terminal, print: printOut, environment };
    return await command.run(context);
  } catch (error) {
    terminal.finish();
    if (error instanceof TerminatedBySignal) endBySignal(error);
    report(terminal, error, environment);
    if (error instanceof UsageError) {
      printError(
        command === undefined
          ? "Usage: enroot [-q] [-v] COMMAND [ARG…]: enroot help lists the commands\n"
          : `Usage: enroot ${command.usage}`,
      );
    }
    return 1;
  } finally {
    terminal.finish();
  }
}

/** Hooks call one command by a program's name of its own. */
function calledAs(args: readonly string[]): readonly string[] {
  return callerState().invokedAs === "enroot-mount" ? ["internal-mount", ...args] : args;
}

/** Whether the arguments ask for the command's help; those of a command inside do not count. */
function asksForHelp(args: readonly string[], entry: Entry): boolean {
  if (entry.summary === undefined) return false;
  for (const argument of args) {
    if (!argument.startsWith("-") || argument === "--") return false;
    if (argument === "-h" || argument === "--help") return true;
  }
  return false;
}
