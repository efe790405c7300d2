/** What to treat as a switch, as a value, and how to name it. */
export interface ParseOptions {
  /** Names that take a value. */
  string?: readonly string[];
  /** Names that take none. */
  boolean?: readonly string[];
  /** Names that may be given several times; their value is an array. */
  collect?: readonly string[];
  /** Other names of an option, by its own. */
  alias?: Readonly<Record<string, string | readonly string[]>>;
  /** End the options at the first argument that is not one. */
  stopEarly?: boolean;
  /** Put what follows `--` under the key "--" instead of `_`. */
  "--"?: boolean;
  /** Called with each argument that no option explains; `false` drops it. */
  unknown?: (argument: string, key?: string, value?: unknown) => unknown;
}

/** The values by name; what is left stands in `_`. */
export interface ParsedArgs {
  _: (string | number)[];
  [name: string]: unknown;
}

/** Parse command-line arguments as @std/cli does. */
export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArgs;
