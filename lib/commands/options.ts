/**
 * Command-line options: `--opt VALUE`, `--opt=VALUE`, `-o VALUE`, `--` ends them.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "../errors.ts";

/** The options of a command: long names, each with its short one where there is one. */
export interface OptionTable {
  /** Options with a value; the last one given counts. */
  readonly values?: Readonly<Record<string, string | undefined>>;
  /** Options with a value that may be given several times. */
  readonly lists?: Readonly<Record<string, string | undefined>>;
  /** Options without a value. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /**
   * The options end at the first argument that is none, because what follows is a command line of
   * its own. Elsewhere options may stand anywhere before `--`.
   */
  readonly endAtOperand?: boolean;
}

/** What a command line said. */
export interface ParsedOptions {
  /** The value of an option, when it was given. */
  value(name: string): string | undefined;
  /** All values of a list option, in order. */
  list(name: string): readonly string[];
  /** Whether a flag was given. */
  flag(name: string): boolean;
  /** What is left, in order. */
  readonly operands: readonly string[];
}

/**
 * Parse a command's arguments.
 *
 * @throws {UsageError} on an unknown option, a missing value, a value where none belongs
 */
export function parseOptions(args: readonly string[], table: OptionTable): ParsedOptions {
  const { values = {}, lists = {}, flags = {}, endAtOperand = false } = table;
  const { own, rest } = split(args, { ...values, ...lists }, endAtOperand);
  const withValue = [...Object.keys(values), ...Object.keys(lists)];
  const alias = Object.fromEntries(
    Object.entries({ ...values, ...lists, ...flags })
      .flatMap(([long, short]) => short === undefined ? [] : [[long, short]]),
  );
  const known = new Set([...withValue, ...Object.keys(flags), ...Object.values(alias)]);

  for (const argument of own) {
    const [, name] = /^--?([^=]+)=/s.exec(argument) ?? [];
    if (name !== undefined && (flags[name] !== undefined || name in flags)) {
      throw new UsageError(`option '--${name}' takes no value`);
    }
  }
  const parsed = parseArgs(own, {
    string: ["_", ...withValue],
    boolean: Object.keys(flags),
    collect: withValue,
    alias,
    unknown: (argument, key) => {
      if (key === undefined || known.has(key)) return true;
      throw new UsageError(`unknown option '${argument.replace(/=.*/s, "")}'`);
    },
  });
  const all = (name: string): readonly string[] => (parsed[name] ?? []) as string[];
  for (const name of withValue) {
    if (all(name).includes("")) throw new UsageError(`option '--${name}' needs a value`);
  }
  return {
    value: (name) => all(name).at(-1),
    list: all,
    flag: (name) => parsed[name] === true,
    operands: [...parsed._.map(String), ...rest],
  };
}

/**
 * Where the options end, and each option that takes the next argument joined to it: the library
 * would take a value that begins with `-` for an option.
 */
function split(
  args: readonly string[],
  withValue: Readonly<Record<string, string | undefined>>,
  endAtOperand: boolean,
): { own: readonly string[]; rest: readonly string[] } {
  const own: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? "";
    if (argument === "--") return { own, rest: args.slice(at + 1) };
    if (!argument.startsWith("-") || argument === "-") {
      if (endAtOperand) return { own, rest: args.slice(at) };
      own.push(argument);
      continue;
    }
    const isLong = argument.startsWith("--");
    const name = Object.keys(withValue).find((long) =>
      isLong ? argument === `--${long}` : withValue[long] === argument.at(-1)
    );
    if (name === undefined || argument.includes("=")) {
      own.push(argument);
      continue;
    }
    if (!isLong && argument.length > 2) own.push(argument.slice(0, -1));
    at++;
    own.push(`--${name}=${args[at] ?? ""}`);
  }
  return { own, rest: [] };
}
