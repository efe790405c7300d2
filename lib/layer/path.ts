/**
 * Paths of entries, and what their names mean.
 *
 * @module
 */

import type { ByteString } from "../tar/byte_string.ts";
import { TarError } from "../tar/entry.ts";
import { display } from "../tar/byte_string.ts";

/** Where an entry goes. */
export interface EntryPath {
  /** The folder it is in: names joined by `/`, empty for the root. */
  readonly parent: ByteString;
  /** Its name there; empty for the root itself. */
  readonly name: ByteString;
}

/** What a name in a layer asks for. Source: OCI image-spec 1.1, `layer.md`, "Whiteouts". */
export type Meaning =
  | { readonly kind: "entry" }
  | { readonly kind: "whiteout"; readonly name: ByteString }
  | { readonly kind: "opaque" }
  | { readonly kind: "ignored" };

const prefix = ".wh.";
const metaPrefix = ".wh..wh.";
const opaqueName = ".wh..wh..opq";

/** What a path has that is not just names with a slash between them. */
const odd = /(?:^|\/)\.{0,2}(?:\/|$)/;

/**
 * The place of an entry: `/`, `./` and empty parts are dropped, and `..` ends at the root, as if the
 * root folder were all there is.
 */
export function entryPath(path: ByteString): EntryPath {
  if (!odd.test(path)) {
    const slash = path.lastIndexOf("/");
    const parent = path.slice(0, Math.max(slash, 0)) as ByteString;
    return { parent, name: path.slice(slash + 1) as ByteString };
  }
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  const name = (parts.pop() ?? "") as ByteString;
  return { parent: parts.join("/") as ByteString, name };
}

/** Whether an entry is below `/dev`: a container's devices come from the host. */
export function isBelowDev({ parent }: EntryPath): boolean {
  return parent === "dev" || parent.startsWith("dev/");
}

/**
 * What an entry's name asks for.
 *
 * @throws {TarError} for a whiteout of nothing, or of a folder's own or parent's name
 */
export function meaningOf(path: EntryPath): Meaning {
  const { name, parent } = path;
  if (parent.startsWith(metaPrefix)) return { kind: "ignored" };
  if (!name.startsWith(prefix)) return { kind: "entry" };
  if (name === opaqueName) return { kind: "opaque" };
  // Bookkeeping of aufs, which is no part of the image.
  if (name.startsWith(metaPrefix)) return { kind: "ignored" };
  const target = name.slice(prefix.length) as ByteString;
  if (target === "" || target === "." || target === "..") {
    throw new TarError(`the whiteout '${display(name)}' names nothing that can be removed`);
  }
  return { kind: "whiteout", name: target };
}
