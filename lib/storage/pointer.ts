/**
 * Pointer files: a few hundred bytes that stand for an image in a ZFS store.
 *
 *     enroot-zfs-image:v1
 *     image-config-sha256=<64 hex>
 *     manifest-digest=sha256:<64 hex>
 *     arch=amd64
 *     uri=docker://registry-1.docker.io/library/ubuntu:24.04
 *     imported=2026-04-29T18:23:11Z
 *
 * `manifest-digest` is left out where an image has no manifest. Unknown keys are ignored. The format is
 * that of zenroot zfs.4 and zfs.5.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";

/** What a pointer says. */
export interface Pointer {
  /** The digest of the image's config: the image ID, which the template is named by. */
  readonly imageId: Digest;
  readonly manifestDigest?: Digest;
  /** As in OCI: `amd64`. */
  readonly architecture: string;
  /** Where the image came from, in full, percent-encoded. */
  readonly uri: string;
  /** When it was imported: RFC 3339, UTC, whole seconds. */
  readonly imported: string;
}

const magic = "enroot-zfs-image:v1";

/** A pointer is never longer, in bytes. */
const maxSize = 1024;

// Each value's class; what is outside of it is no pointer of ours.
const patterns = {
  "image-config-sha256": /^[0-9a-f]{64}$/,
  "manifest-digest": /^sha256:[0-9a-f]{64}$/,
  arch: /^[a-z0-9_-]+$/,
  uri: /^(?:docker|dockerd|podman|zfs|oci|oci-archive|docker-archive):[A-Za-z0-9._:/@+#%-]+$/,
  imported: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
} as const;
type PointerKey = keyof typeof patterns;

/**
 * A pointer as the text of its file.
 *
 * @throws {EnrootError} code `bad-pointer` when a value is not of its class or the whole is too long
 */
export function formatPointer(pointer: Pointer): string {
  const { imageId, manifestDigest, architecture, uri, imported } = pointer;
  const values: readonly (readonly [PointerKey, string | undefined])[] = [
    ["image-config-sha256", imageId.slice("sha256:".length)],
    ["manifest-digest", manifestDigest],
    ["arch", architecture],
    ["uri", uri],
    ["imported", imported],
  ];
  const lines = values.flatMap(([key, value]) => {
    if (value === undefined) return [];
    if (patterns[key].test(value)) return [`${key}=${value}`];
    throw new EnrootError("bad-pointer", `a pointer file cannot hold ${key}=${value}`);
  });
  const text = [magic, ...lines, ""].join("\n");
  if (text.length <= maxSize) return text;
  throw new EnrootError(
    "bad-pointer",
    `the URI ${
      uri.slice(0, 60)
    }… is too long for a pointer file, which holds ${maxSize} bytes: move ` +
      "the image to a shorter path, or import it with --format=squashfs",
  );
}

/**
 * Make sure, before any work is done for it, that an image from this URI can have a pointer file.
 *
 * @throws {EnrootError} as {@linkcode formatPointer}
 */
export function assertPointable(uri: string): void {
  const digest = parseDigest(`sha256:${"0".repeat(64)}`);
  formatPointer({
    imageId: digest,
    manifestDigest: digest,
    architecture: "amd64",
    uri,
    imported: pointerTime(0),
  });
}

/** A time as pointers have it. @param milliseconds since the epoch */
export function pointerTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Read a pointer's text.
 *
 * @param name what it is called in messages
 * @throws {EnrootError} code `bad-pointer`, with the line that is wrong or the key that is missing
 */
export function parsePointer(text: string, name: string): Pointer {
  const refuse = (why: string): never => {
    throw new EnrootError(
      "bad-pointer",
      `${name} is a damaged pointer file: ${why}: import the image again`,
    );
  };
  const [first, ...lines] = text.split("\n");
  if (first !== magic) refuse("its first line is not the magic");
  if (text.length > maxSize) refuse(`it has more than ${maxSize} bytes`);
  const values = new Map<string, string>();
  for (const line of lines) {
    if (line === "") continue;
    const [, key, value] = /^([a-z0-9-]+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) return refuse(`'${line}' is no KEY=VALUE`);
    if (!Object.hasOwn(patterns, key)) continue;
    if (!patterns[key as PointerKey].test(value)) refuse(`${key} cannot be '${value}'`);
    if (values.has(key)) refuse(`${key} stands there twice`);
    values.set(key, value);
  }
  const get = (key: PointerKey): string => values.get(key) ?? refuse(`it has no ${key}`);
  const manifestDigest = values.get("manifest-digest");
  return {
    imageId: parseDigest(`sha256:${get("image-config-sha256")}`),
    ...(manifestDigest === undefined ? {} : { manifestDigest: parseDigest(manifestDigest) }),
    architecture: get("arch"),
    uri: get("uri"),
    imported: get("imported"),
  };
}

/**
 * Read a file if it is a pointer: its first line is the magic, whatever its name.
 *
 * @returns `undefined` when it is something else
 * @throws {EnrootError} code `not-found` or `cannot-read`; `bad-pointer` when it is a damaged one
 */
export async function readPointer(path: string): Promise<Pointer | undefined> {
  const bytes = new Uint8Array(maxSize + 1);
  let length = 0;
  try {
    using file = await Deno.open(path);
    for (let read; (read = await file.read(bytes.subarray(length))) !== null && read > 0;) {
      length += read;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new EnrootError("not-found", `${path}: no such image file`);
    }
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  const text = new TextDecoder().decode(bytes.subarray(0, length));
  return text.startsWith(`${magic}\n`) ? parsePointer(text, path) : undefined;
}
