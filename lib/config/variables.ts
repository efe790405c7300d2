/**
 * The variables in a value of a configuration file.
 *
 * @module
 */

/**
 * `${VAR}`, `${VAR:-default}` and `$VAR`, as the groups 1, 1 and 2, and 3.
 *
 * The default is plain text here, in which bash would find nothing to do.
 */
export const variable =
  /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^$`\\"'{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))/g;

// What is escaped, a command in back quotes, `${NAME` unless it says what holds without it (bash(1),
// Parameter Expansion), `$NAME`, and what encloses.
const part =
  /\\.|`[^`]*`|\$\{([A-Za-z_][A-Za-z0-9_]*)(?!\w|:?[-+=?])|\$([A-Za-z_][A-Za-z0-9_]*)|\$?[({]|[)}]/gs;

/**
 * The variables that leave a hole in a value when they are not set: those that have no default and are in no
 * command. None of a value whose brackets do not pair, as those of `case` in a command.
 */
export function bareVariables(value: string): string[] {
  const names: string[] = [];
  let depth = 0;
  for (const [text, braced, plain] of value.matchAll(part)) {
    const name = braced ?? plain;
    if (name !== undefined && depth === 0) names.push(name);
    if (braced !== undefined || /^\$?[({]$/.test(text)) depth++;
    else if (text === ")" || text === "}") depth--;
    if (depth < 0) return [];
  }
  return depth === 0 ? names : [];
}
