/**
 * Command-line options: `--opt VALUE`, `--opt=VALUE`, `-o VALUE`, `-oVALUE`, `-o=VALUE`, several short ones
 * in one argument; `--` ends them.
 *
 * @module
 */

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
  const { endAtOperand = false } = table;
  const options = new KnownOptions(table);
  const given = new Map<string, string[]>();
  const operands: string[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    const word = args[at] ?? "";
    if (word === "--") {
      at++;
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      if (endAtOperand) break;
      operands.push(word);
      continue;
    }
    for (const { name, takesValue, attached } of options.in(word)) {
      const value = takesValue ? attached ?? args[++at] : attached;
      if (takesValue && !value) throw new UsageError(`option '--${name}' needs a value`);
      if (!takesValue && value !== undefined) {
        throw new UsageError(`option '--${name}' takes no value`);
      }
      const values = given.get(name) ?? [];
      values.push(value ?? "");
      given.set(name, values);
    }
  }
  return {
    value: (name) => given.get(name)?.at(-1),
    list: (name) => given.get(name) ?? [],
    flag: (name) => given.has(name),
    operands: [...operands, ...args.slice(at)],
  };
}

/** An option as it stands on a command line. */
interface Given {
  /** Its long name. */
  readonly name: string;
  readonly takesValue: boolean;
  /** A value in the same argument. */
  readonly attached?: string;
}

/** The options of a table by both of their names. */
class KnownOptions {
  readonly #byLong: ReadonlyMap<string, Given>;
  readonly #byShort: ReadonlyMap<string, Given>;

  constructor({ values = {}, lists = {}, flags = {} }: OptionTable) {
    const rows = [values, lists, flags].flatMap((part) =>
      Object.entries(part).map(([name, short]) => ({
        short,
        option: { name, takesValue: part !== flags },
      }))
    );
    this.#byLong = new Map(rows.map(({ option }) => [option.name, option]));
    this.#byShort = new Map(
      rows.flatMap(({ short, option }) => short === undefined ? [] : [[short, option]]),
    );
  }

  /** The options in an argument: a long one, or short ones, of which the last may have a value. */
  in(argument: string): Given[] {
    if (!argument.startsWith("--")) return this.#shortOnes(argument);
    const [name, attached] = cut(argument.slice(2));
    const option = this.#byLong.get(name);
    if (option === undefined) throw new UsageError(`unknown option '--${name}'`);
    return [{ ...option, ...attached }];
  }

  #shortOnes(argument: string): Given[] {
    const found: Given[] = [];
    const letters = [...argument.slice(1)];
    for (let letter; (letter = letters.shift()) !== undefined;) {
      const option = this.#byShort.get(letter);
      const rest = letters.join("");
      if (option === undefined) throw this.#unknown(letter, argument);
      if (rest.startsWith("=")) return [...found, { ...option, attached: rest.slice(1) }];
      if (option.takesValue && rest !== "") {
        // It would be taken for `-n ame`.
        if (this.#byLong.has(cut(argument.slice(1))[0])) throw this.#unknown(letter, argument);
        return [...found, { ...option, attached: rest }];
      }
      found.push(option);
    }
    return found;
  }

  #unknown(letter: string, argument: string): UsageError {
    const [name] = cut(argument.slice(1));
    if (this.#byLong.has(name)) {
      return new UsageError(`unknown option '-${name}': it is '--${name}'`);
    }
    const place = name === letter ? "" : ` in '-${name}'`;
    return new UsageError(`unknown option '-${letter}'${place}`);
  }
}

/** Name and value. */
function cut(text: string): [name: string, value: Pick<Given, "attached">] {
  const at = text.indexOf("=");
  return at < 0 ? [text, {}] : [text.slice(0, at), { attached: text.slice(at + 1) }];
}
