/**
 * What shells are to complete, made of the commands' help.
 *
 * @module
 */

import { commands } from "../lib/commands/dispatch.ts";
import { helpOption, parseUsage, type UsageOption } from "./usage.ts";

/** What can stand somewhere and is looked up when it is completed. */
export type Kind =
  | "command"
  | "container"
  | "file"
  | "folder"
  | "image"
  | "process"
  | "uri"
  | "variable";

/** What can stand in one place: things to look up, and words. Neither: the shell says nothing. */
export interface Wanted {
  readonly kinds: readonly Kind[];
  readonly words: readonly Word[];
}

/** A word, with what it means where that is known. */
export interface Word {
  readonly word: string;
  readonly about: string;
}

/** An option, with what its value can be; a flag has none. */
export interface CompletedOption extends UsageOption {
  readonly wanted?: Wanted;
}

/** A command. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  readonly operands: readonly { readonly wanted: Wanted; readonly repeats: boolean }[];
  /** Options end at the first operand. */
  readonly endsAtOperand: boolean;
  /** How the URIs begin that it takes. */
  readonly schemes: readonly string[];
}

/** All that is completed. */
export interface Completion {
  /** The options that stand before a command. */
  readonly options: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
}

/** The options before a command, as `enroot help` shows them. */
export const globalOptions: readonly CompletedOption[] = [
  { short: "-q", long: "--quiet", choices: [], repeats: false, about: "say nothing but errors" },
  { short: "-v", long: "--verbose", choices: [], repeats: false, about: "say more" },
  { ...helpOption, about: "show the commands" },
];

const nothing: Wanted = { kinds: [], words: [] };

/** The architectures that images are imported for. */
const architectures = ["amd64", "arm64", "ppc64le"];

/** What the names of values stand for. */
const ofValues: Readonly<Record<string, Wanted>> = {
  ARCH: { kinds: [], words: architectures.map((word) => ({ word, about: "" })) },
  FILE: { kinds: ["file"], words: [] },
  DIR: { kinds: ["folder"], words: [] },
  "KEY[=VAL]": { kinds: ["variable"], words: [] },
  FMT: nothing,
  FSTAB: nothing,
  HOST: nothing,
  N: nothing,
  NAME: nothing,
  TEXT: nothing,
  URI: { kinds: ["uri"], words: [] },
};

/** What the names of operands stand for. */
const ofOperands: Readonly<Record<string, Wanted>> = {
  ARG: nothing,
  COMMAND: nothing,
  CONFIG: { kinds: ["file"], words: [] },
  FOLDER: { kinds: ["folder"], words: [] },
  IMAGE: { kinds: ["image"], words: [] },
  LIST: { kinds: ["file"], words: [] },
  NAME: { kinds: ["container"], words: [] },
  PID: { kinds: ["process"], words: [] },
  URI: { kinds: ["uri"], words: [] },
};

/**
 * Make it of the commands that the help lists.
 *
 * @throws {Error} when a help has a name for a value that is not known here
 */
export async function describeCompletion(): Promise<Completion> {
  const described: CompletedCommand[] = [];
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (summary === undefined) continue;
    described.push(completeCommand(name, summary, (await load()).usage));
  }
  return { options: globalOptions, commands: described };
}

/**
 * Make one command of its help.
 *
 * @throws {Error} as {@linkcode describeCompletion}
 */
export function completeCommand(name: string, summary: string, text: string): CompletedCommand {
  const { options, operands, terms, endsAtOperand } = parseUsage(text);
  const place = (kind: string): Wanted => {
    if (name === "help") return { kinds: ["command"], words: [] };
    // A word in small letters, or a dash, stands for itself.
    if (/[A-Z]/.test(kind)) return known(ofOperands, kind, name);
    return { kinds: [], words: [{ word: kind, about: terms.get(kind) ?? "" }] };
  };
  const schemes = [...(terms.get("URI") ?? "").matchAll(/\b[a-z-]+:(?:\/\/)?/g)];
  return {
    ...{ name, summary, endsAtOperand, schemes: schemes.map(([scheme]) => scheme) },
    options: [...options.map((option) => withValues(option, name)), helpOption],
    operands: operands.map(({ kinds, repeats }) => ({
      wanted: merge(kinds.map(place)),
      repeats,
    })),
  };
}

function withValues(option: UsageOption, command: string): CompletedOption {
  if (option.value === undefined) return option;
  const words = option.choices.map((word) => ({ word, about: "" }));
  if (words.length > 0) return { ...option, wanted: { kinds: [], words } };
  const all = option.value.split("|").map((name) => known(ofValues, name, command));
  return { ...option, wanted: merge(all) };
}

function known(table: Readonly<Record<string, Wanted>>, name: string, command: string): Wanted {
  const wanted = table[name];
  if (wanted !== undefined) return wanted;
  throw new Error(`completion does not know what ${name} in the help of '${command}' stands for`);
}

function merge(all: readonly Wanted[]): Wanted {
  return {
    kinds: all.flatMap(({ kinds }) => kinds),
    words: all.flatMap(({ words }) => words),
  };
}
