/**
 * Completion for bash.
 *
 * @module
 */

import type { CompletedCommand, Completion, Wanted } from "./completion_model.ts";

/**
 * The script for bash 4.3 and newer. It needs no other script.
 *
 * What can stand somewhere is handed around as words: `@KIND` is looked up, others are meant.
 */
export function bashCompletion({ options, commands }: Completion): string {
  const globals = options.flatMap(({ short = "", long = "" }) => [short, long]);
  return `# bash completion for enroot. Generated: edit the help of the commands instead.
# shellcheck shell=bash

# The options of a command, into \`options\`.
_enroot_options() {
    case $1 in
${commands.map(optionCase).join("")}        *) options=(${globals.join(" ")}) ;;
    esac
}

# How the URIs begin that a command takes, into \`schemes\`.
_enroot_schemes() {
    case $1 in
${commands.map(schemeCase).join("")}        *) schemes=() ;;
    esac
}

# What can follow an option of a command, into \`wanted\`; nothing after a flag.
_enroot_value() {
    case "$1 $2" in
${commands.map(valueCases).join("")}        *) wanted="" ;;
    esac
}

# What can be the Nth operand of a command, into \`wanted\`.
_enroot_operand() {
    case "$1 $2" in
${commands.map(operandCases).join("")}        *) wanted="" ;;
    esac
}

# Whether the options of a command end at its first operand.
_enroot_ends_at_operand() {
    [[ " ${
    commands.filter((each) => each.endsAtOperand).map(({ name }) => name).join(" ")
  } " == *" $1 "* ]]
}

# Add candidates, one a line on standard input, that begin with what is there.
_enroot_add() {
    local candidate quoted
    while IFS= read -r candidate; do
        printf -v quoted %q "$candidate"
        if [[ $candidate == "$part"* || $quoted == "$part"* ]]; then COMPREPLY+=("$quoted"); fi
    done
}

# Add files: of images when there are such, and folders on the way to them.
_enroot_add_files() {
    local path found=()
    while IFS= read -r path; do
        case $1 in
            image) [[ -d $path || $path =~ \\.(sqsh|squashfs|sqfs|zfs)$ ]] && found+=("$path") ;;
            *) found+=("$path") ;;
        esac
    done < <(compgen -f -- "$part")
    if [[ $1 == image && \${#found[@]} -eq 0 ]]; then mapfile -t found < <(compgen -f -- "$part"); fi
    [[ \${#found[@]} -eq 0 ]] && return
    compopt -o filenames 2> /dev/null
    COMPREPLY+=("\${found[@]}")
}

# The processes of containers, by the column that \`list --fancy\` shows them in.
_enroot_processes() {
    local head line
    IFS= read -r head || return 0
    head=\${head%%PID *}
    while IFS= read -r line; do
        line=\${line:\${#head}}
        [[ $line == [0-9]* ]] && printf '%s\\n' "\${line%% *}"
    done
}

# Add what can stand here: the words of $1. \`part\` is what is there already; what goes before it, and
# is no part of the candidates, is added to \`before\`.
_enroot_complete() {
    local what program=\${words[0]/#\\~\\//$HOME/} scheme schemes
    for what in $1; do
        case $what in
            @command) _enroot_add <<< '${commands.map(({ name }) => name).join("\n")}' ;;
            @container) _enroot_add < <("$program" list 2> /dev/null) ;;
            @process) _enroot_add < <("$program" list --fancy 2> /dev/null | _enroot_processes) ;;
            @variable) _enroot_add < <(compgen -e) ;;
            @folder)
                compopt -o filenames 2> /dev/null
                mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$part")
                ;;
            # Where a name is meant as well, files are for those that begin like none.
            @image) if [[ \${#COMPREPLY[@]} -eq 0 ]]; then _enroot_add_files image; fi ;;
            @file) _enroot_add_files file ;;
            @uri)
                _enroot_schemes "$command"
                for scheme in "\${schemes[@]}"; do
                    [[ $scheme != *// && $part == "$scheme"* ]] || continue
                    [[ $part == "$scheme//"* ]] && scheme+=//
                    before+=$scheme
                    part=\${part#"$scheme"}
                    _enroot_add_files file
                    return
                done
                compopt -o nospace 2> /dev/null
                _enroot_add < <(printf '%s\\n' "\${schemes[@]}")
                ;;
            *) _enroot_add <<< "$what" ;;
        esac
    done
}

_enroot() {
    local words=() cword=0 index word line=$COMP_LINE
    # The shell splits at = and :, the program does not.
    for ((index = 0; index < \${#COMP_WORDS[@]}; index++)); do
        word=\${COMP_WORDS[index]}
        if ((index > 0)) && [[ $line != [[:space:]]* ]] && [[ -n $word || -n $line ]]; then
            words[\${#words[@]} - 1]+=$word
        else
            line=\${line#"\${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=\${line#"$word"}
        if ((index == COMP_CWORD)); then cword=$((\${#words[@]} - 1)); fi
    done

    local command="" operands=0 ended="" wanted="" options=() current=\${words[cword]}
    local part=$current before=""
    for ((index = 1; index < cword; index++)); do
        word=\${words[index]}
        if [[ -n $wanted ]]; then
            wanted=""
        elif [[ -z $ended && $word == -- ]]; then
            ended=yes
        elif [[ -z $ended && $word == -?* ]]; then
            [[ $word == --* ]] || word=-\${word: -1}
            [[ $word == *=* ]] || _enroot_value "$command" "$word"
        elif [[ -z $command ]]; then
            command=$word
        else
            operands=$((operands + 1))
            if _enroot_ends_at_operand "$command"; then ended=yes; fi
        fi
    done

    COMPREPLY=()
    if [[ -n $wanted ]]; then
        _enroot_complete "$wanted"
    elif [[ -z $ended && $current == --*=* ]]; then
        part=\${current#*=}
        _enroot_value "$command" "\${current%%=*}"
        before=\${current%%=*}=
        _enroot_complete "$wanted"
    elif [[ -z $ended && $current == -* ]]; then
        _enroot_options "$command"
        _enroot_add < <(printf '%s\\n' "\${options[@]}")
    elif [[ -z $command ]]; then
        _enroot_complete @command
    else
        _enroot_operand "$command" "$((operands + 1))"
        _enroot_complete "$wanted"
    fi

    # Only what follows the last = or : is replaced, where the shell splits there.
    local rest=$current
    if [[ $COMP_WORDBREAKS == *=* ]]; then rest=\${rest##*=}; fi
    if [[ $COMP_WORDBREAKS == *:* ]]; then rest=\${rest##*:}; fi
    local kept=\${before:\${#current} - \${#rest}}
    for index in "\${!COMPREPLY[@]}"; do
        word=\${COMPREPLY[index]}
        # The shell does not know a folder that has something before its name.
        if [[ -n $kept && -d $word ]]; then
            word+=/
            compopt -o nospace 2> /dev/null
        fi
        word=$before$word
        COMPREPLY[index]=\${word:\${#current} - \${#rest}}
    done
}

complete -F _enroot enroot
`;
}

function optionCase({ name, options }: CompletedCommand): string {
  const words = options.flatMap(({ short, long }) => long ?? short ?? []);
  return `        ${name}) options=(${words.join(" ")}) ;;\n`;
}

function schemeCase({ name, schemes }: CompletedCommand): string {
  return schemes.length === 0 ? "" : `        ${name}) schemes=(${schemes.join(" ")}) ;;\n`;
}

function valueCases({ name, options }: CompletedCommand): string {
  return options.flatMap(({ short, long, wanted }) => {
    if (wanted === undefined) return [];
    const patterns = [short, long].filter((each) => each !== undefined)
      .map((each) => `"${name} ${each}"`);
    // Something has to follow, even where nothing can be said of it.
    return [`        ${patterns.join(" | ")}) wanted="${encode(wanted) || "@nothing"}" ;;\n`];
  }).join("");
}

function operandCases({ name, operands }: CompletedCommand): string {
  return operands.flatMap(({ wanted, repeats }, index) => {
    const encoded = encode(wanted);
    if (encoded === "") return [];
    return [`        "${name} "${repeats ? "*" : index + 1}) wanted="${encoded}" ;;\n`];
  }).join("");
}

function encode({ kinds, words }: Wanted): string {
  return [...kinds.map((kind) => `@${kind}`), ...words.map(({ word }) => word)].join(" ");
}
