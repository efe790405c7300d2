/**
 * Lists of images: one URI a line; empty lines, and lines that begin with `#`, are passed over.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { formatUri, type ImageUri, parseImageUri, shownUri } from "../source/uri.ts";

/** A line of a list. */
export interface ListedImage {
  /** Counted from 1. */
  readonly line: number;
  /** In full, without a user; what is no URI, as it stands there, without a password. */
  readonly name: string;
  /** Absent when it is none. */
  readonly uri?: ImageUri;
  /** Why it is none. */
  readonly problem?: EnrootError;
}

/** The images of a list, each once. A line that is no URI is one that fails, not the list's end. */
export function parseList(text: string): ListedImage[] {
  const seen = new Set<string>();
  return text.split("\n").flatMap((raw, index): ListedImage[] => {
    const entry = raw.trim();
    if (entry === "" || entry.startsWith("#")) return [];
    const image = imageOf(entry, index + 1);
    const user = image.uri?.scheme === "docker" ? image.uri.reference.user ?? "" : "";
    const key = `${user} ${image.name}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [image];
  });
}

/** Read a list. @param file its path; `-`: standard input @throws {EnrootError} code `cannot-read` */
export async function readList(file: string): Promise<ListedImage[]> {
  try {
    const stream = file === "-" ? Deno.stdin.readable : (await Deno.open(file)).readable;
    return parseList(await new Response(stream).text());
  } catch (error) {
    const name = file === "-" ? "standard input" : file;
    throw new EnrootError("cannot-read", `cannot read the list ${name}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function imageOf(entry: string, line: number): ListedImage {
  try {
    const uri = parseImageUri(entry);
    return { line, name: formatUri(uri), uri };
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    return { line, name: shownUri(entry), problem: error };
  }
}
