/**
 * Completion for zsh.
 *
 * @module
 */

import type {
  CompletedCommand,
  CompletedOption,
  Completion,
  Kind,
  Wanted,
} from "./completion_model.ts";

const lookups: Readonly<Record<Exclude<Kind, "uri">, string>> = {
  command: "_enroot_commands",
  container: "_enroot_containers",
  file: "_files",
  folder: "_files -/",
  image: "_enroot_images",
  process: "_enroot_processes",
  variable: "_parameters -g '*export*'",
};

/** The script for zsh: a file `_enroot` in a folder of `fpath`. */
export function zshCompletion({ options, commands }: Completion): string {
  const names = commands.map(({ name, summary }) => quote(`${name}:${summary}`));
  return `#compdef enroot
# zsh completion for enroot. Generated: edit the help of the commands instead.

_enroot_commands() {
    local -a commands=(
        ${names.join("\n        ")}
    )
    _describe -t commands command commands
}

_enroot_containers() {
    local -a names=(\${(f)"$(_call_program containers $program list 2> /dev/null)"})
    _wanted containers expl container compadd -a names
}

# The processes of containers, by the column that \`list --fancy\` shows them in.
_enroot_processes() {
    local -a lines=(\${(f)"$(_call_program processes $program list --fancy 2> /dev/null)"}) pids
    local before=\${lines[1]%%PID *} line
    for line in \${lines[2,-1]}; do
        line=\${line:\${#before}}
        [[ $line == [0-9]* ]] && pids+=(\${line%% *})
    done
    _wanted processes expl process compadd -a pids
}

_enroot_images() {
    _files -g '*.(sqsh|squashfs|sqfs|zfs)(-.)' || _files
}

# URIs that begin in one of these ways; those without // are of files.
_enroot_uris() {
    local scheme
    for scheme in "$@"; do
        [[ $scheme == *// ]] && continue
        if compset -P $scheme// || compset -P $scheme; then
            _files
            return
        fi
    done
    _wanted uris expl URI compadd -S '' -- "$@"
}

_enroot() {
    local program=$words[1] context state state_descr line
    typeset -A opt_args
    _arguments -s -A '-*' \\
${options.map((option) => `        ${optionSpec(option, [])} \\\n`).join("")}        \
':command:_enroot_commands' \\
        '*:: :->arguments'
    [[ $state == arguments ]] || return
    case $line[1] in
${commands.map(commandCase).join("")}    esac
}

# Loaded as a function, or sourced.
if [[ $funcstack[1] == _enroot ]]; then
    _enroot "$@"
else
    compdef _enroot enroot
fi
`;
}

function commandCase(
  { name, options, operands, endsAtOperand, schemes }: CompletedCommand,
): string {
  const specs = [
    ...options.map((option) => optionSpec(option, schemes)),
    ...operands.map(({ wanted, repeats }, index) =>
      quote(
        `${repeats || (endsAtOperand && index === operands.length - 1) ? "*" : ""}:${
          argument(wanted, "argument", schemes)
        }`,
      )
    ),
  ];
  return `        ${name})
            _arguments -s -S${endsAtOperand ? " -A '-*'" : ""} \\
                ${specs.join(" \\\n                ")}
            ;;
`;
}

function optionSpec(
  { short, long, value, wanted, repeats, about }: CompletedOption,
  schemes: readonly string[],
): string {
  const both = [short, long].filter((each) => each !== undefined);
  const description = `[${about.replaceAll(/[[\]\\]/g, (each) => `\\${each}`)}]`;
  const message = wanted === undefined ? "" : `:${argument(wanted, value ?? "value", schemes)}`;
  const text = quote(`${description}${message}`);
  const excluded = repeats ? "'*'" : quote(`(${both.join(" ")})`);
  const forms = both.map((each) =>
    wanted === undefined ? each : each.startsWith("--") ? `${each}=` : `${each}+`
  );
  return forms.length === 1
    ? `${excluded}${forms[0]}${text}`
    : `${excluded}{${forms.join(",")}}${text}`;
}

/** A message and an action. */
function argument({ kinds, words }: Wanted, name: string, schemes: readonly string[]): string {
  // With a blank before it an action is called with these words alone.
  const uris = ` _enroot_uris ${schemes.join(" ").replaceAll(":", "\\:")}`;
  const lookup = (kind: Kind): string => kind === "uri" ? uris : lookups[kind];
  const message = kinds.length > 0 ? kinds.join(" or ") : name.toLowerCase().replace(/\W.*/, "");
  if (kinds.length > 1) {
    const all = kinds.map((kind) => `"${kind}s:${kind}:${lookup(kind)}"`);
    return `${message}: _alternative ${all.join(" ")}`;
  }
  const [kind] = kinds;
  if (kind !== undefined) return `${message}:${lookup(kind)}`;
  if (words.length === 0) return `${message}: `;
  const described = words.map(({ word, about }) =>
    about === "" ? word : `${word}\\:${quote(about.replaceAll(":", "\\:"))}`
  );
  const isDescribed = words.some(({ about }) => about !== "");
  return `${message}:${isDescribed ? `((${described.join(" ")}))` : `(${described.join(" ")})`}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
