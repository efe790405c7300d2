/**
 * Image URIs: what users type, and what is noted of where an image came from.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import {
  formatReference,
  parseReference,
  type Reference,
  withoutPassword,
} from "../oci/reference.ts";

/** The schemes of local images. */
export type LocalScheme = "oci" | "oci-archive" | "docker-archive";

/** The schemes of images that an engine on this machine has. */
export type EngineScheme = "dockerd" | "podman";

/** Where an image is. */
export type ImageUri =
  | { readonly scheme: "docker"; readonly reference: Reference }
  | {
    readonly scheme: EngineScheme;
    /** A name, with registry and tag as the engine takes them, or an ID. */
    readonly name: string;
    /** The ID of the image that had this name: it is asked for in its place. No part of the text. */
    readonly id?: Digest;
  }
  | {
    readonly scheme: LocalScheme;
    /** Absolute, without `.` and `..`. */
    readonly path: string;
    readonly tag?: string;
  };

const localSchemes: readonly string[] = ["oci", "oci-archive", "docker-archive"];
const engineSchemes: readonly string[] = ["dockerd", "podman"];
const beginnings: readonly string[] = [
  ...["docker://", "dockerd://", "podman://", "oci:", "oci-archive:", "docker-archive:"],
];

/** What an engine may be asked for: never an option, never a path. */
const engineName = /^[A-Za-z0-9[][A-Za-z0-9._\/:@[\]-]*$/;

/**
 * Parse an image URI: `docker://REFERENCE`, `dockerd://IMAGE`, `podman://IMAGE`, `oci:PATH[:TAG]`,
 * `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:TAG]`, the latter three with `//` too.
 *
 * @param more what else URIs can begin with where this one stands, for the message
 * @throws {EnrootError} code `bad-uri`, with the schemes there are
 */
export function parseImageUri(text: string, more: readonly string[] = []): ImageUri {
  const [, scheme = "", rest = ""] = /^([a-z][a-z-]*):(.*)$/s.exec(text) ?? [];
  if (scheme === "docker" && rest.startsWith("//")) {
    return { scheme, reference: parseReference(rest.slice(2)) };
  }
  if (engineSchemes.includes(scheme) && rest.startsWith("//")) {
    return parseEngine(scheme as EngineScheme, rest.slice(2), text);
  }
  if (localSchemes.includes(scheme)) return parseLocal(scheme as LocalScheme, rest, text);
  if (scheme === "zfs" && !more.includes("zfs://")) {
    throw new EnrootError(
      "bad-uri",
      `image URI '${text}': zfs:// names a container, which is for load, export and import`,
    );
  }
  const [last, ...others] = [...beginnings, ...more].reverse();
  throw new EnrootError(
    "bad-uri",
    `image URI '${shownUri(text)}': it must begin with ${others.reverse().join(", ")} or ${last}`,
  );
}

/** What may be shown of a text that was to be a URI: what may be a password in it is left out. */
export function shownUri(text: string): string {
  const [, start = "", rest = ""] = /^((?:[a-z][a-z-]*:\/\/)?)(.*)$/s.exec(text) ?? [];
  return start + withoutPassword(rest);
}

/**
 * Parse a URI in its full form, as {@linkcode formatUri} writes it.
 *
 * @throws {EnrootError} code `bad-uri` or `bad-reference`
 */
export function parseFullUri(text: string): ImageUri {
  if (text.startsWith("docker://")) return parseImageUri(text);
  try {
    return parseImageUri(decodeURIComponent(text));
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new EnrootError("bad-uri", `image URI '${text}': its path is not UTF-8`);
  }
}

/** A URI in its full form, without the user: paths absolute, odd bytes percent-encoded. */
export function formatUri(uri: ImageUri): string {
  if (uri.scheme === "docker") return `docker://${formatReference(uri.reference)}`;
  if ("name" in uri) return `${uri.scheme}://${percentEncode(uri.name)}`;
  const tag = uri.tag === undefined ? "" : `:${uri.tag}`;
  return `${uri.scheme}:${percentEncode(uri.path + tag)}`;
}

/** The file an image is imported to by default: its path and tag with `/` and `:` as `+`, `.sqsh`. */
export function defaultFileName(uri: ImageUri): string {
  const name = nameParts(uri).filter((part) => part !== undefined).join("+");
  return `${name.replaceAll(/[/:]/g, "+")}.sqsh`;
}

function nameParts(uri: ImageUri): (string | undefined)[] {
  if (uri.scheme === "docker") {
    const { typedRepository, tag, digest } = uri.reference;
    return [typedRepository, tag ?? digest?.slice(0, 19)];
  }
  if ("name" in uri) return [uri.name.replace(/@(sha256:[0-9a-f]{12})[0-9a-f]*$/, ":$1")];
  return [uri.path.replace(/\/+$/, "").replace(/^.*\//, "").replace(/\.tar(\.\w+)?$/, ""), uri.tag];
}

function parseEngine(scheme: EngineScheme, name: string, text: string): ImageUri {
  if (engineName.test(name)) return { scheme, name };
  throw new EnrootError("bad-uri", `image URI '${text}': '${name}' is no name of an image`);
}

function parseLocal(scheme: LocalScheme, rest: string, text: string): ImageUri {
  const typed = rest.startsWith("//") ? rest.slice(2) : rest;
  // The path ends at the first colon that a tag can follow, as with skopeo: a tag may hold some itself,
  // when it is a reference with its registry, as in the cache.
  const [, path = "", tag] =
    /^(.*?)(?::([^:/]+(?::[0-9]+(?=\/))?(?:\/[^:/]+)*(?::[^:/]+)?(?::[0-9a-f]{64})?))?$/s
      .exec(typed) ?? [];
  if (path === "" || path.includes("\0")) {
    throw new EnrootError("bad-uri", `image URI '${text}' names no path`);
  }
  return {
    scheme,
    path: absolute(path),
    ...(tag === undefined ? {} : { tag }),
  };
}

/** What is noted of an image is read again when the folders on the way may be gone. */
function absolute(path: string): string {
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  let parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts = parentOf(parts);
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** As the kernel goes up: from where a symlink leads to, not from where it stands. */
function parentOf(parts: readonly string[]): string[] {
  let real = parts;
  try {
    real = Deno.realPathSync(`/${parts.join("/")}`).split("/").filter((part) => part !== "");
  } catch {
    // Of what is not there only the name is known.
  }
  return real.slice(0, -1);
}

function percentEncode(text: string): string {
  return [...new TextEncoder().encode(text)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._:/@+#-]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}
