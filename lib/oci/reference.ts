/**
 * Registry references: what follows `docker://`, parsed as enroot and Docker do.
 *
 * Forms: `[USER@][REGISTRY/]IMAGE[:TAG][@DIGEST]` and `[USER@]REGISTRY#IMAGE[:TAG][@DIGEST]`.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { type Digest, parseDigest } from "./digest.ts";

/** The host of Docker Hub's registry. */
export const dockerHub = "registry-1.docker.io";

/** An image in a registry. Frozen. */
export interface Reference {
  /** The user whose credentials are asked for, where the reference names one. */
  readonly user?: string;
  /** `HOST` or `HOST:PORT`; Docker Hub's other names are turned into {@linkcode dockerHub}. */
  readonly registry: string;
  /** The repository, with Docker Hub's `library/` where it is left out by custom. */
  readonly repository: string;
  /** The repository as it was typed: what default file names are made of. */
  readonly typedRepository: string;
  /** The tag: `latest` when neither tag nor digest was given, absent with a digest alone. */
  readonly tag?: string;
  /** The manifest's digest; it beats the tag. */
  readonly digest?: Digest;
}

// Grammar of names and tags: github.com/distribution/reference.
const repositoryPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const hostPattern =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?$/;
// E-mail addresses are user names, too.
const userPattern = /^[^\s@/#:]+(?:@[^\s@/#:]+)*$/;
// The algorithms of the OCI image-spec and of go-digest, so that none is taken for a host.
const digestPattern = /@((?:sha\d+|blake3):[^@]*)$/;

/**
 * Parse what follows `docker://`.
 *
 * @throws {EnrootError} code `bad-reference`, naming the text and the part that is wrong, but no password
 */
export function parseReference(text: string): Reference {
  const refuse = (why: string): never => {
    throw new EnrootError("bad-reference", `image reference '${withoutPassword(text)}': ${why}`);
  };
  let rest = text;

  let digest: Digest | undefined;
  const [pinned = "", typed = ""] = digestPattern.exec(rest) ?? [];
  if (pinned !== "") {
    if (!typed.startsWith("sha256:")) {
      refuse(`the digest '${typed}' is not supported: only those of sha256 are`);
    }
    digest = parseDigest(typed);
    rest = rest.slice(0, -pinned.length);
  }

  let user: string | undefined;
  const userAt = rest.lastIndexOf("@");
  if (userAt >= 0) {
    user = rest.slice(0, userAt);
    rest = rest.slice(userAt + 1);
    if (user.includes(":")) {
      refuse(
        "what stands before '@' is a user name without a password, which belongs in " +
          "${ENROOT_CONFIG_PATH}/.credentials",
      );
    }
    if (!userPattern.test(user)) refuse(`'${user}' is no user name`);
  }

  let { registry, path } = splitRegistry(rest);
  if (!hostPattern.test(registry)) refuse(`'${registry}' is no registry host`);
  if (registry === "docker.io" || registry === "index.docker.io") registry = dockerHub;

  let tag: string | undefined;
  const tagAt = path.lastIndexOf(":");
  if (tagAt > path.lastIndexOf("/")) {
    tag = path.slice(tagAt + 1);
    path = path.slice(0, tagAt);
    if (!tagPattern.test(tag)) refuse(`'${tag}' is no tag`);
  }
  if (path === "") refuse("it names no image");
  if (!repositoryPattern.test(path)) {
    refuse(
      `'${path}' is no repository name (lower-case letters, digits, and . _ - / between them)`,
    );
  }
  if (tag === undefined && digest === undefined) tag = "latest";

  return Object.freeze({
    registry,
    repository: registry === dockerHub && !path.includes("/") ? `library/${path}` : path,
    typedRepository: path,
    ...(user === undefined ? {} : { user }),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  });
}

/** The reference in its full form, without the user: what is logged, stored and compared. */
export function formatReference(reference: Reference): string {
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${
    digest === undefined ? "" : `@${digest}`
  }`;
}

/** What may be shown of a text that was to be a reference: what may be a password in it is left out. */
export function withoutPassword(text: string): string {
  const [digest = ""] = digestPattern.exec(text) ?? [];
  const rest = text.slice(0, text.length - digest.length);
  return rest.replace(/^([^:]*:).*(?=@)/s, "$1…") + digest;
}

function splitRegistry(text: string): { registry: string; path: string } {
  const hash = text.indexOf("#");
  if (hash >= 0) return { registry: text.slice(0, hash) || dockerHub, path: text.slice(hash + 1) };
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  return /[.:]/.test(first) || first === "localhost"
    ? { registry: first, path: text.slice(slash + 1) }
    : { registry: dockerHub, path: text };
}
