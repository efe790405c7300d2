/**
 * Platforms: which entry of an index is ours.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Descriptor } from "./manifest.ts";

/** What an image was built for, in the words of Go: `linux`, `amd64`, `v8`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

// What `uname -m` and users say, and what images say.
const names: ReadonlyMap<string, string> = new Map([
  ["x86_64", "amd64"],
  ["x86-64", "amd64"],
  ["aarch64", "arm64"],
  ["armv8", "arm64"],
  ["ppc64el", "ppc64le"],
]);

// The variants that one architecture's plain name stands for, best first.
const defaultVariants: ReadonlyMap<string, readonly string[]> = new Map([
  ["arm64", ["v8"]],
  ["amd64", ["v1"]],
  ["arm", ["v7", "v6", "v5"]],
]);

/**
 * An architecture by the name images use, from the name of a user or of `uname -m`.
 *
 * @throws {EnrootError} code `bad-architecture` for characters no architecture has
 */
export function normalizeArchitecture(name: string): string {
  const lower = name.toLowerCase();
  if (!/^[a-z0-9_-]+$/.test(lower)) {
    throw new EnrootError("bad-architecture", `'${name}' is no architecture`);
  }
  return names.get(lower) ?? lower;
}

/**
 * The entry of an index for Linux on an architecture: attestations are passed over, and of several
 * variants the plain or usual one is taken.
 *
 * @param what the image, for the message
 * @throws {EnrootError} code `no-platform` when there is none; it lists those there are
 */
export function selectPlatform(
  manifests: readonly Descriptor[],
  architecture: string,
  what: string,
): Descriptor {
  const images = manifests.filter((entry) => !isAttestation(entry));
  const wanted = images.filter(({ platform }) =>
    platform?.os === "linux" && platform.architecture === architecture
  );
  const byVariant = [undefined, "", ...(defaultVariants.get(architecture) ?? [])]
    .flatMap((variant) => wanted.filter(({ platform }) => platform?.variant === variant));
  const chosen = byVariant[0] ?? wanted[0];
  if (chosen !== undefined) return chosen;

  const [only] = images;
  if (only !== undefined && images.length === 1 && only.platform === undefined) return only;
  const there = images.map(({ platform }) =>
    platform === undefined ? "unnamed" : formatPlatform(platform)
  );
  throw noPlatform(what, architecture, there);
}

/** The error for an image that is there, but not for the architecture that was asked for. */
export function noPlatform(
  what: string,
  architecture: string,
  there: readonly string[],
): EnrootError {
  return new EnrootError(
    "no-platform",
    `${what} has no image for linux/${architecture}; there is: ${
      there.length === 0 ? "none" : there.join(", ")
    } (--arch chooses)`,
  );
}

/** A platform as `os/architecture` or `os/architecture/variant`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== "").join("/");
}

function isAttestation({ platform, annotations }: Descriptor): boolean {
  return platform?.os === "unknown" && platform.architecture === "unknown" ||
    annotations?.["vnd.docker.reference.type"] === "attestation-manifest";
}
