/**
 * Challenges: what a registry asks for before it answers.
 *
 * Source: RFC 9110, section 11.6.1; Docker's token authentication specification.
 *
 * @module
 */

/** One way to authenticate that a registry offers. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Parameters by lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

const parameter = /^([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(,|$)/;
const scheme = /^([A-Za-z][A-Za-z0-9_-]*)(?:\s+|$|,)(?!=)/;

/** Longer ones no registry sends. */
const maxLength = 16_384;

/** The challenges of a `WWW-Authenticate` header; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header.slice(0, maxLength);
  for (;;) {
    rest = rest.replace(/^[\s,]+/, "");
    const begun = scheme.exec(rest);
    if (begun === null) return challenges;
    const [whole, name = ""] = begun;
    rest = rest.slice(whole.length);
    const parameters = new Map<string, string>();
    for (;;) {
      const found = parameter.exec(rest);
      if (found === null) break;
      const [text, key = "", quoted, plain] = found;
      parameters.set(key.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? plain ?? "");
      rest = rest.slice(text.length).trimStart();
    }
    challenges.push({ scheme: name.toLowerCase(), parameters });
  }
}
