/**
 * Credentials in a file of the netrc format.
 *
 * Source: the GNU inetutils manual, "The .netrc file"; curl's reading of it for quotes and comments.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";

/** One entry of a file. */
export interface NetrcEntry {
  /** The host it is for, with or without a port; `undefined`: the default for all that have none. */
  readonly machine: string | undefined;
  /** As it is written: never expanded, since `$oauthtoken` is a user. */
  readonly login?: string;
  readonly password?: string;
  /** Whether the password is a text for bash, to be put between double quotes. */
  readonly isExpanded?: boolean;
  /** The line it begins on, from 1. */
  readonly line: number;
}

interface Word {
  readonly text: string;
  readonly isExpanded: boolean;
}

/**
 * Read the entries of a file, in their order.
 *
 * Comments go from a `#` where a keyword could be to the end of the line; values may stand in double
 * quotes, and a backslash takes the next character as it is. A password that begins with a bare `$` is a
 * text for bash, and ends at the first white space that is not within its brackets.
 *
 * @param file its path, for messages
 * @throws {EnrootError} code `bad-credentials`, naming file and line, and never what stands there
 */
export function parseNetrc(text: string, file: string): NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let entry: { -readonly [K in keyof NetrcEntry]: NetrcEntry[K] } | undefined;
  const reader = new Reader(text, file);
  for (;;) {
    const line = reader.toKeyword();
    const keyword = reader.word()?.text;
    if (keyword === undefined) return entries;
    if (keyword === "machine" || keyword === "default") {
      const machine = keyword === "default" ? undefined : reader.value(keyword).text.toLowerCase();
      entry = { machine, line };
      entries.push(entry);
    } else if (keyword === "macdef") {
      reader.skipMacro();
    } else if (!["login", "password", "account"].includes(keyword)) {
      reader.refuse(
        "'machine', 'default', 'login', 'password', 'account' or 'macdef' should be here",
      );
    } else {
      if (entry === undefined) return reader.refuse(`'${keyword}' comes before any 'machine'`);
      if (keyword === "password") {
        const { text: password, isExpanded } = reader.value(keyword, true);
        entry.password = password;
        entry.isExpanded = isExpanded;
      } else {
        const { text: value } = reader.value(keyword);
        if (keyword === "login") entry.login = value;
      }
    }
  }
}

/**
 * The entry for one of several hosts: the first entry for the first host that has one, then the default.
 *
 * @param hosts in lower case, best first
 * @param user the only login that counts; an entry without a login is not for him
 */
export function findEntry(
  entries: readonly NetrcEntry[],
  hosts: readonly string[],
  { user, allowDefault }: { readonly user?: string | undefined; readonly allowDefault: boolean },
): NetrcEntry | undefined {
  const usable = entries.filter(({ login, password }) =>
    password !== undefined && login !== undefined && (user === undefined || login === user)
  );
  for (const host of hosts) {
    const entry = usable.find(({ machine }) => machine === host);
    if (entry !== undefined) return entry;
  }
  return allowDefault ? usable.find(({ machine }) => machine === undefined) : undefined;
}

/** Words of a file, one after the other. */
class Reader {
  readonly #text: string;
  readonly #file: string;
  #at = 0;
  #line = 1;

  constructor(text: string, file: string) {
    this.#text = text.replaceAll("\r\n", "\n");
    this.#file = file;
  }

  /** Go to where the next keyword begins. @returns its line */
  toKeyword(): number {
    for (;;) {
      this.#skipSpace();
      if (this.#peek() !== "#") return this.#line;
      while (this.#peek() !== "\n" && this.#peek() !== "") this.#next();
    }
  }

  /** The value of a keyword. @throws {EnrootError} when the file ends before it */
  value(keyword: string, mayExpand = false): Word {
    this.#skipSpace();
    return this.word(mayExpand) ?? this.refuse(`'${keyword}' has no value`);
  }

  /** The next word; `undefined` at the end of the file. @param mayExpand whether bash may expand it */
  word(mayExpand = false): Word | undefined {
    const first = this.#peek();
    if (first === "") return undefined;
    if (first === '"') return { text: this.#quoted(), isExpanded: false };
    if (first === "$" && mayExpand) return { text: this.#bashText(), isExpanded: true };
    let text = "";
    while (!isSpace(this.#peek())) text += this.#character();
    return { text, isExpanded: false };
  }

  /** A macro ends with an empty line. */
  skipMacro(): void {
    const end = /\n[ \t]*\n|$(?![^])/g;
    end.lastIndex = this.#at;
    const { index, 0: found } = end.exec(this.#text) ?? { index: this.#text.length, 0: "" };
    while (this.#at < index + found.length) this.#next();
  }

  refuse(why: string): never {
    throw new EnrootError("bad-credentials", `${this.#file}:${this.#line}: ${why}`);
  }

  #quoted(): string {
    this.#next();
    let text = "";
    while (this.#peek() !== '"') {
      if (this.#peek() === "" || this.#peek() === "\n") this.refuse("a quote is not closed");
      text += this.#character();
    }
    this.#next();
    return text;
  }

  /**
   * A text up to the white space that is in no bracket. A quote outside of brackets is a character of the
   * password, and is written so that it is one between double quotes, too.
   */
  #bashText(): string {
    let text = "";
    const open: string[] = [];
    for (;;) {
      const inside = open.at(-1);
      const first = this.#peek();
      if (first === "" || first === "\n") {
        if (inside !== undefined) this.refuse(`a '${inside}' is missing on this line`);
        return text;
      }
      if (inside === undefined && isSpace(first)) return text;
      const character = this.#next();
      if (inside === undefined && character === '"') text += "\\";
      text += character;
      const next = this.#peek();
      if (character === "\\" && inside !== "'" && next !== "\n") text += this.#next();
      else if (character === inside) open.pop();
      else if (inside === "'") continue;
      else if (character === "$" && (next === "(" || next === "{")) {
        text += this.#next();
        open.push(next === "(" ? ")" : "}");
      } else if (character === "`") open.push(character);
      else if (inside === undefined || inside === '"') continue;
      else if (character === '"' || character === "'") open.push(character);
      else if (character === "(") open.push(")");
    }
  }

  #character(): string {
    const character = this.#next();
    return character === "\\" && this.#peek() !== "" && this.#peek() !== "\n"
      ? this.#next()
      : character;
  }

  #skipSpace(): void {
    while (this.#peek() !== "" && isSpace(this.#peek())) this.#next();
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #next(): string {
    const character = this.#text.charAt(this.#at++);
    if (character === "\n") this.#line++;
    return character;
  }
}

function isSpace(character: string): boolean {
  return character === "" || /\s/.test(character);
}
