/**
 * The help of the commands, read back: what completion is made of and what the pages are checked by.
 *
 * A usage text is the one place that says which options a command has. Its first line is the synopsis;
 * below stand paragraphs and lists, whose lines begin with two blanks.
 *
 * @module
 */

/** An option as the help shows it. */
export interface UsageOption {
  /** With its dash: `-o`. */
  readonly short?: string;
  /** With its dashes: `--output`. */
  readonly long?: string;
  /** What its value is called: `FILE`, or `FILE|URI`. Absent: it is a flag. */
  readonly value?: string;
  /** The values there are, where the synopsis lists them. */
  readonly choices: readonly string[];
  /** Whether it may be given several times. */
  readonly repeats: boolean;
  readonly about: string;
}

/** An argument that is no option. */
export interface UsageOperand {
  /** What it can be: words in capitals stand for something, others for themselves. */
  readonly kinds: readonly string[];
  readonly repeats: boolean;
}

/** A command as its help describes it. */
export interface Usage {
  readonly name: string;
  /** The synopsis on one line, with the command's name and without the program's. */
  readonly synopsis: string;
  readonly options: readonly UsageOption[];
  readonly operands: readonly UsageOperand[];
  /** The explanations of operands, by their names. */
  readonly terms: ReadonlyMap<string, string>;
  /** Options end at the first operand, because what follows is a command line of its own. */
  readonly endsAtOperand: boolean;
}

/** The option that every command has, and that no help lists. */
export const helpOption: UsageOption = {
  ...{ short: "-h", long: "--help", choices: [], repeats: false },
  about: "show how it is used",
};

const listedOption =
  /^ {2}(?:(-\w)(?:, (--[a-z-]+))?| {4}(--[a-z-]+))(?: ([^\s-]\S*))?(?: {2,}(.*))?$/;
const listedTerm = /^ {2}(\S+) {2,}(.*)$/;
const synopsisOption = /\[(?:(-\w)\|)?(--?[a-z][a-z-]*)(?: ((?:[^[\]]|\[[^\]]*\])+))?\](…)?/g;

/**
 * Read the help of a command.
 *
 * @throws {Error} when synopsis and list of options do not agree
 */
export function parseUsage(text: string): Usage {
  const [head = "", ...rest] = text.split("\n\n");
  const synopsis = head.trim().replaceAll(/\s+/g, " ");
  const name = synopsis.split(" ")[0] ?? "";
  const { options: listed, terms } = parseLists(rest.join("\n\n"));
  const shown = [...synopsis.matchAll(synopsisOption)].map(([, short, word = "", value, more]) => ({
    ...(word.startsWith("--") ? { short, long: word } : { short: word, long: undefined }),
    value,
    repeats: more !== undefined,
  }));
  const isSummed = synopsis.includes("[OPTION]…");
  const options = listed.map((option): UsageOption => {
    const inSynopsis = shown.find(({ short, long }) =>
      short === option.short && long === option.long
    );
    if (inSynopsis === undefined && !isSummed) {
      throw new Error(`${name}: the synopsis lacks ${option.long ?? option.short}`);
    }
    if (inSynopsis === undefined) return option;
    // Where the synopsis says more of a value than its name, that counts.
    const { value, repeats } = inSynopsis;
    if (value === undefined) return { ...option, repeats };
    return /^[a-z|]+$/.test(value)
      ? { ...option, choices: value.split("|"), repeats }
      : { ...option, value, repeats };
  });
  const unlisted = shown.find(({ short, long }) =>
    !options.some((option) => option.short === short && option.long === long)
  );
  if (unlisted !== undefined) {
    throw new Error(`${name}: ${unlisted.long ?? unlisted.short} is not explained`);
  }
  const operands = parseOperands(synopsis.slice(name.length).replaceAll(synopsisOption, " "));
  const endsAtOperand = operands.some(({ kinds }) => kinds.includes("ARG"));
  return { name, synopsis, options, operands, terms, endsAtOperand };
}

/** The lists of a usage text: a line that is indented deeper goes on with what is above it. */
function parseLists(
  text: string,
): { readonly options: readonly UsageOption[]; readonly terms: ReadonlyMap<string, string> } {
  const options: { option: Omit<UsageOption, "about">; about: string[] }[] = [];
  const terms = new Map<string, string[]>();
  let open: string[] | undefined;
  for (const line of text.split("\n")) {
    const option = listedOption.exec(line);
    const term = listedTerm.exec(line);
    if (option !== null) {
      const [, short, long = option[3], , value, about] = option;
      open = about === undefined ? [] : [about];
      options.push({
        option: {
          ...(short === undefined ? {} : { short }),
          ...(long === undefined ? {} : { long }),
          ...(value === undefined ? {} : { value }),
          ...{ choices: [], repeats: false },
        },
        about: open,
      });
    } else if (term !== null && !line.startsWith("   ")) {
      open = [term[2] ?? ""];
      terms.set(term[1] ?? "", open);
    } else if (/^ {4}/.test(line)) open?.push(line.trim());
    else open = undefined;
  }
  return {
    options: options.map(({ option, about }) => ({ ...option, about: about.join(" ") })),
    terms: new Map([...terms].map(([term, lines]) => [term, lines.join(" ")])),
  };
}

function parseOperands(text: string): UsageOperand[] {
  return text.replaceAll(/[[\]]/g, "").split(/\s+/)
    .filter((word) => word !== "" && !/^(?:OPTION)?…?$/.test(word))
    .map((word) => ({
      kinds: word.replace(/…$/, "").split("|"),
      repeats: word.endsWith("…"),
    }));
}
