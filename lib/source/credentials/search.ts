/**
 * Looking for a registry's credentials, in the files that users have.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { dockerHub } from "../../oci/reference.ts";
import type { SourceOptions } from "../options.ts";
import { type AuthFile, findInAuthFile, parseAuthFile } from "./auth_file.ts";
import type { CredentialSearch, FoundCredential } from "./credential.ts";
import { expandPassword } from "./expand_password.ts";
import { askHelper } from "./helper.ts";
import { findEntry, type NetrcEntry, parseNetrc } from "./netrc.ts";

/** Whose credentials are wanted. */
export interface CredentialQuestion {
  /** The registry: `HOST` or `HOST:PORT`. */
  readonly host: string;
  /** The token server that stands for it, where enroot's file may name that instead. */
  readonly tokenHost?: string | undefined;
  readonly repository: string;
  /** The only user that is wanted. */
  readonly user?: string | undefined;
  /** Whether an entry for any host will do. */
  readonly allowDefault: boolean;
}

/**
 * Look for credentials: in enroot's netrc file, then in the files of Docker and podman.
 *
 * Only what is found is expanded or asked of a helper. A helper that fails is warned of, and counts as
 * one that has nothing: public images need none.
 *
 * @throws {EnrootError} code `bad-credentials` for a file that cannot be read, or an entry that cannot be
 * used; never with what stands there
 */
export async function searchCredentials(
  asked: CredentialQuestion,
  { registries, signal, log }: Pick<SourceOptions, "registries" | "signal" | "log">,
): Promise<CredentialSearch> {
  if (registries === undefined) return { looked: [] };
  const { environment, credentialsFile } = registries;
  const question = { ...asked, host: asked.host.toLowerCase() };
  const looked: string[] = [credentialsFile];
  const warn = (message: string): void => log("warning", message);
  const run = { environment, signal };

  const netrc = readIfThere(credentialsFile);
  if (netrc !== undefined) {
    const found = await inNetrc(parseNetrc(netrc, credentialsFile), credentialsFile, question, run);
    if (found !== undefined) {
      if (isOpenToOthers(credentialsFile)) {
        warn(`${credentialsFile} can be read by others: chmod 600 it`);
      }
      return { found, looked };
    }
  }
  for (const file of authFiles(environment)) {
    looked.push(file);
    const content = authFileOf(file, warn);
    if (content === undefined) continue;
    const found = await inAuthFile(content, file, question, { ...run, warn });
    if (found !== undefined) return { found, looked };
  }
  return { looked };
}

async function inNetrc(
  entries: readonly NetrcEntry[],
  file: string,
  question: CredentialQuestion,
  run: Parameters<typeof expandPassword>[2],
): Promise<FoundCredential | undefined> {
  const entry = findEntry(entries, netrcHosts(question), question);
  if (entry?.login === undefined || entry.password === undefined) return undefined;
  const { machine, login: user, password: text, isExpanded, line } = entry;
  const place = `${file}:${line}`;
  if (isExpanded && !isOfCaller(file)) {
    throw new EnrootError(
      "bad-credentials",
      `${place}: the password is not expanded, because others could have written it: the file must ` +
        "belong to the caller or root, and be writable by its owner alone",
    );
  }
  const password = isExpanded ? await expandPassword(text, place, run) : text;
  const name = machine === undefined ? "default" : `machine ${machine}`;
  return { credential: { kind: "password", user, password }, source: `${place} (${name})` };
}

/** The names a registry's entry may have; Docker Hub's is that of its token server, by custom. */
function netrcHosts({ host, tokenHost }: CredentialQuestion): string[] {
  const names = [host, tokenHost ?? ""];
  if (host === dockerHub) names.push("auth.docker.io", "docker.io", "index.docker.io");
  const both = names.flatMap((name) => [name, name.replace(/:\d+$/, "")]);
  return [...new Set(both.map((name) => name.toLowerCase()))].filter((name) => name !== "");
}

async function inAuthFile(
  content: AuthFile,
  file: string,
  { host, repository, user }: CredentialQuestion,
  { warn, ...run }: Parameters<typeof askHelper>[2] & { readonly warn: (message: string) => void },
): Promise<FoundCredential | undefined> {
  const answer = findInAuthFile(content, host, repository, file);
  if (answer === undefined) return undefined;
  let found: FoundCredential;
  if (answer.kind === "credential") {
    found = { credential: answer.credential, source: `${file} (entry '${answer.entry}')` };
  } else {
    const { name, server } = answer;
    try {
      const credential = await askHelper(name, server, run);
      if (credential === undefined) return undefined;
      found = { credential, source: `docker-credential-${name}, which ${file} names` };
    } catch (error) {
      if (!(error instanceof EnrootError)) throw error;
      warn(`${error.message} (${file} names it for ${host}): going on without it`);
      return undefined;
    }
  }
  const { credential } = found;
  // Whose an identity token is, nobody knows.
  const isHis = user === undefined || credential.kind === "password" && credential.user === user;
  return isHis ? found : undefined;
}

/** The files of other tools, those that a variable names first. */
function authFiles(environment: Readonly<Record<string, string>>): string[] {
  const { REGISTRY_AUTH_FILE, DOCKER_CONFIG, HOME, XDG_RUNTIME_DIR, XDG_CONFIG_HOME } = environment;
  const under = (folder: string | undefined, path: string): string[] =>
    folder?.startsWith("/") ? [`${folder.replace(/\/+$/, "")}${path}`] : [];
  return [
    ...under(REGISTRY_AUTH_FILE, ""),
    ...(DOCKER_CONFIG ? under(DOCKER_CONFIG, "/config.json") : under(HOME, "/.docker/config.json")),
    ...under(XDG_RUNTIME_DIR, "/containers/auth.json"),
    ...(XDG_CONFIG_HOME
      ? under(XDG_CONFIG_HOME, "/containers/auth.json")
      : under(HOME, "/.config/containers/auth.json")),
  ];
}

/** Another tool's file that cannot be read, root's after `sudo docker login`, is no reason to fail. */
function authFileOf(file: string, warn: (message: string) => void): AuthFile | undefined {
  try {
    const text = readIfThere(file);
    return text === undefined ? undefined : parseAuthFile(text, file);
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    warn(`${error.message}: going on without it`);
    return undefined;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw new EnrootError("bad-credentials", `cannot read ${file}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Whether what is run for a file is what its owner, the caller or root, has written. */
function isOfCaller(file: string): boolean {
  const { uid, mode } = Deno.statSync(file);
  return (uid === 0 || uid === Deno.uid()) && ((mode ?? 0) & 0o022) === 0;
}

function isOpenToOthers(file: string): boolean {
  return ((Deno.statSync(file).mode ?? 0) & 0o077) !== 0;
}
