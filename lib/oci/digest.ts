/**
 * Digests, diff IDs and chain IDs: three kinds of sha256 that must never be taken for each other.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { ChainId } from "./chain_id.ts";

declare const kind: unique symbol;

/** The digest of stored bytes, `sha256:` and 64 lower-case hex digits. */
export type Digest = string & { readonly [kind]: "digest" };

/** The digest of a layer's uncompressed tar, as `rootfs.diff_ids` lists it; `sha256:` and hex. */
export type DiffId = string & { readonly [kind]: "diff-id" };

const pattern = /^sha256:[0-9a-f]{64}$/;

/** Bytes that are not what their digest says: damaged, truncated or forged. */
export class DigestMismatchError extends EnrootError {
  override readonly name = "DigestMismatchError";

  /** What the bytes should have hashed to. */
  readonly expected: string;

  /** What they hashed to. */
  readonly actual: string;

  /** @param what the thing that was read, for example `layer sha256:… of docker://…` */
  constructor(what: string, expected: string, actual: string) {
    super("digest-mismatch", `${what}: expected ${expected}, got ${actual}: the data is damaged`);
    this.expected = expected;
    this.actual = actual;
  }
}

/**
 * The text as a digest.
 *
 * @throws {EnrootError} code `bad-digest` when it is no sha256 digest
 */
export function parseDigest(text: string): Digest {
  return checked(text, "digest") as Digest;
}

/**
 * The text as a diff ID.
 *
 * @throws {EnrootError} code `bad-digest` when it is no sha256 digest
 */
export function parseDiffId(text: string): DiffId {
  return checked(text, "diff ID") as DiffId;
}

/** The digest of bytes. */
export async function digestOf(bytes: Uint8Array): Promise<Digest> {
  // Memory that threads share, which this does not take, holds no documents.
  const owned = bytes as Uint8Array<ArrayBuffer>;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", owned));
  return `sha256:${hash.toHex()}` as Digest;
}

/** The 64 hex digits, for a file or dataset name. */
export function hexOf(digest: Digest | DiffId | ChainId): string {
  return digest.slice("sha256:".length);
}

function checked(text: string, what: string): string {
  if (pattern.test(text)) return text;
  throw new EnrootError("bad-digest", `${what} '${text}' is not sha256: and 64 hex digits`);
}
