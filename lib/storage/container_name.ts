/**
 * Container names.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

declare const kind: unique symbol;

/** A name that a container may have: it can be a file name on every backend. */
export type ContainerName = string & { readonly [kind]: "container-name" };

const maxBytes = 128;

/**
 * The text as a container name: no `/`, no control character, no leading `.` or `-`, at most 128
 * bytes of UTF-8, not empty.
 *
 * @throws {EnrootError} code `bad-name`, with the rule that it breaks
 */
export function parseContainerName(text: string): ContainerName {
  const refuse = (why: string): never => {
    throw new EnrootError("bad-name", `container name ${JSON.stringify(text)} ${why}`);
  };
  if (text === "") refuse("is empty");
  if (text.includes("/")) refuse("holds a '/'");
  if (/^[.-]/.test(text)) refuse(`begins with '${text[0]}'`);
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f-\x9f]/.test(text)) refuse("holds a control character");
  if (!text.isWellFormed()) refuse("is not well-formed Unicode");
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > maxBytes) refuse(`has ${bytes} bytes; at most ${maxBytes} are allowed`);
  return text as ContainerName;
}
