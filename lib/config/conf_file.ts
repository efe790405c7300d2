/**
 * The lines of a configuration file.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { isAllowedKey } from "./keys.ts";

/** One setting, as it is written. */
export interface Setting {
  readonly key: string;
  /** Not expanded yet. */
  readonly value: string;
  /** Whether nothing in the value is to be expanded. */
  readonly literal: boolean;
  /** Where it stands, for messages: `FILE:LINE`. */
  readonly place: string;
}

/**
 * Read the lines of a configuration file: `KEY VALUE` or `KEY=VALUE`, with `#` before comments.
 *
 * A comment takes a line of its own or follows white space. A value in a pair of quotes of one kind is
 * what is between them, and literal when they are single ones, as in bash. A line whose key is that of
 * another program, as `HTTP_PROXY` or `export`, is passed over, as enroot does.
 *
 * @param file its path, for messages
 * @param warn told of each line that is passed over
 * @throws {EnrootError} code `bad-config-line`, naming file and line
 */
export function parseConfFile(
  text: string,
  file: string,
  warn: (message: string) => void = () => {},
): Setting[] {
  const settings: Setting[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const content = line.trim();
    if (content === "" || content.startsWith("#")) continue;
    const place = `${file}:${index + 1}`;
    const [, key = "", rest = ""] = /^([A-Za-z_][A-Za-z0-9_]*)(?:\s*=\s*|\s+|$)(.*)$/
      .exec(content) ?? [];
    if (key === "") {
      throw new EnrootError("bad-config-line", `${place}: '${content}' is no KEY VALUE line`);
    }
    if (!isAllowedKey(key)) {
      if (key.startsWith("ENROOT_")) {
        throw new EnrootError("bad-config-line", `${place}: the key '${key}' is not known here`);
      }
      warn(`${place}: '${key}' is no key of enroot, so this line has no effect: ${remedy(key)}`);
      continue;
    }
    settings.push({ key, ...unquote(rest), place });
  }
  return settings;
}

function remedy(key: string): string {
  if (key === "export") return "write KEY=VALUE without it";
  const small = key.toLowerCase();
  return isAllowedKey(small) ? `write ${small}` : "remove it";
}

function unquote(text: string): { value: string; literal: boolean } {
  const [, single] = /^'([^']*)'\s*(?:#.*)?$/.exec(text) ?? [];
  if (single !== undefined) return { value: single, literal: true };
  // As little as possible is between the quotes: a comment may hold some, too.
  const [, double] = /^"(.*?)"\s*(?:#.*)?$/.exec(text) ?? [];
  return { value: double ?? text.replace(/(?:^|\s+)#.*$/, "").trimEnd(), literal: false };
}
