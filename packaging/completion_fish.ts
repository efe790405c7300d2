/**
 * Completion for fish.
 *
 * @module
 */

import type { CompletedCommand, CompletedOption, Completion, Kind } from "./completion_model.ts";

/** How each kind is looked up; files are what fish completes by itself. */
const lookups: Readonly<Record<Exclude<Kind, "command" | "file" | "uri">, string>> = {
  container: "(__enroot_run list)",
  folder: "(__fish_complete_directories (commandline -ct))",
  image: "(__enroot_images)",
  process: "(__enroot_processes)",
  variable: "(set --names --export)",
};

/** The script for fish 3.4 and newer. */
export function fishCompletion({ options, commands }: Completion): string {
  const valued = commands.flatMap(({ name, options }) =>
    options.filter(({ wanted }) => wanted !== undefined)
      .flatMap(({ short, long }) => [short, long].filter((each) => each !== undefined))
      .map((each) => quote(`${name} ${each}`))
  );
  const ending = commands.filter(({ endsAtOperand }) => endsAtOperand).map(({ name }) => name);
  return `# fish completion for enroot. Generated: edit the help of the commands instead.

# Options that something follows, and commands whose options end at the first operand.
set -g __enroot_valued ${valued.join(" ")}
set -g __enroot_ending ${ending.join(" ")}

# The command that was typed, how many operands it has so far, and whether options have ended.
function __enroot_typed
    set -l words (commandline -opc)
    set -l name
    set -l operands 0
    set -l ended no
    set -l skip no
    for word in $words[2..-1]
        if test $skip = yes
            set skip no
        else if test $ended = no; and test "$word" = --
            set ended yes
        else if test $ended = no; and string match -q -- '-?*' "$word"
            set -l option (string replace -r '^-[^-]*([^-])$' -- '-$1' "$word")
            contains -- "$name $option" $__enroot_valued; and set skip yes
        else if test -z "$name"
            set name "$word"
        else
            set operands (math $operands + 1)
            contains -- "$name" $__enroot_ending; and set ended yes
        end
    end
    printf '%s\\n' "$name" $operands $ended
end

# Whether an option of this command can stand here.
function __enroot_option_of
    set -l typed (__enroot_typed)
    test "$typed[1]" = "$argv[1]"; and test $typed[3] = no
end

# Whether the Nth operand of this command can stand here, or any one.
function __enroot_operand_of
    set -l typed (__enroot_typed)
    test "$typed[1]" = "$argv[1]"; or return 1
    test "$argv[2]" = any; or test (math $typed[2] + 1) = "$argv[2]"
end

function __enroot_run
    set -l words (commandline -opc)
    $words[1] $argv 2>/dev/null
end

# The processes of containers, by the column that \`list --fancy\` shows them in.
function __enroot_processes
    set -l lines (__enroot_run list --fancy)
    set -l start (math (string length -- (string replace -r 'PID .*' '' -- "$lines[1]")) + 1)
    for line in $lines[2..-1]
        string match -rg -- '^(\\d+)' (string sub -s $start -- "$line")
    end
end

# Files of images when there are such, and folders on the way to them.
function __enroot_images
    set -l files (__fish_complete_path (commandline -ct) | string replace -r '\\t.*' '')
    string match -r -- '.*(?:\\.(?:sqsh|squashfs|sqfs|zfs)|/)$' $files; or printf '%s\\n' $files
end

# URIs that begin in one of these ways; those without // are of files.
function __enroot_uris
    set -l token (commandline -ct)
    for scheme in (string match -v -- '*//' $argv)// (string match -v -- '*//' $argv)
        if string match -q -- "$scheme*" "$token"
            set -l path (string sub -s (math (string length -- $scheme) + 1) -- "$token")
            printf '%s\\n' $scheme(__fish_complete_path "$path" | string replace -r '\\t.*' '')
            return
        end
    end
    printf '%s\\n' $argv
end

complete -c enroot -f
${options.map((option) => optionLine("", option, [])).join("")}\
${
    commands.map(({ name, summary }) =>
      `complete -c enroot -n '__enroot_operand_of "" any' -a ${name} -d ${quote(summary)}\n`
    ).join("")
  }
${commands.map((command) => commandLines(command, commands)).join("\n")}`;
}

function commandLines(
  { name, options, operands, schemes }: CompletedCommand,
  commands: readonly CompletedCommand[],
): string {
  const lines = options.map((option) => optionLine(name, option, schemes));
  for (const [index, { wanted, repeats }] of operands.entries()) {
    const condition = quote(`__enroot_operand_of ${name} ${repeats ? "any" : index + 1}`);
    const add = (what: string, about = ""): void => {
      const described = about === "" ? "" : ` -d ${quote(about)}`;
      lines.push(`complete -c enroot -n ${condition} -a ${quote(what)}${described}\n`);
    };
    for (const kind of wanted.kinds) {
      if (kind === "command") { for (const each of commands) add(each.name, each.summary); }
      else if (kind === "file") lines.push(`complete -c enroot -n ${condition} -F\n`);
      else add(lookup(kind, schemes));
    }
    for (const { word, about } of wanted.words) add(word, about);
  }
  return lines.join("");
}

function lookup(kind: Exclude<Kind, "command" | "file">, schemes: readonly string[]): string {
  return kind === "uri" ? `(__enroot_uris ${schemes.join(" ")})` : lookups[kind];
}

function optionLine(
  command: string,
  { short, long, wanted, about }: CompletedOption,
  schemes: readonly string[],
): string {
  const values = wanted === undefined ? [] : [
    ...(wanted.kinds.includes("file") ? ["-r -F"] : ["-x"]),
    ...wanted.kinds.filter((kind) => kind !== "command" && kind !== "file")
      .map((kind) => `-a ${quote(lookup(kind, schemes))}`),
    ...(wanted.words.length === 0
      ? []
      : [`-a ${quote(wanted.words.map(({ word }) => word).join(" "))}`]),
  ];
  return `complete ${
    [
      `-c enroot -n ${quote(`__enroot_option_of ${command === "" ? '""' : command}`)}`,
      ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
      ...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
      ...[...values, `-d ${quote(about)}`],
    ].join(" ")
  }\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, (each) => `\\${each}`)}'`;
}
