/**
 * Credentials as Docker and podman keep them: `config.json` and `auth.json`.
 *
 * Sources: docker's documentation of `docker login`; containers-auth.json(5).
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";
import type { Credential } from "./credential.ts";

const entrySchema = z.object({
  auth: z.optional(z.string()),
  username: z.optional(z.string()),
  password: z.optional(z.string()),
  identitytoken: z.optional(z.string()),
});

const fileSchema = z.object({
  auths: z.optional(z.nullable(z.record(z.string(), entrySchema))),
  credHelpers: z.optional(z.nullable(z.record(z.string(), z.string()))),
  credsStore: z.optional(z.string()),
});

/** A file that was read. */
export type AuthFile = z.infer<typeof fileSchema>;

/** What a file says about a registry. */
export type AuthAnswer =
  | { readonly kind: "credential"; readonly credential: Credential; readonly entry: string }
  | { readonly kind: "helper"; readonly name: string; readonly server: string };

/** What Docker calls Docker Hub in its file, and to its helpers. */
const hubServer = "https://index.docker.io/v1/";
const hubNames: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/**
 * Read a file.
 *
 * @param file its path, for messages
 * @throws {EnrootError} code `bad-credentials`, naming the file, the line where it is known, and never
 * what stands there
 */
export function parseAuthFile(text: string, file: string): AuthFile {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    // The message quotes the text.
    const line = /\(line (\d+) column \d+\)/.exec(String(error))?.[1];
    const place = line === undefined ? file : `${file}:${line}`;
    throw new EnrootError("bad-credentials", `${place}: it is no JSON`);
  }
  const parsed = z.safeParse(fileSchema, document);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.slice(0, 2).join(".") ?? "";
  throw new EnrootError(
    "bad-credentials",
    `${file}: ${where === "" ? "it" : `'${where}'`} is not as 'docker login' writes it`,
  );
}

/**
 * What a file says about a repository of a registry: the helper of that registry, else an entry, the
 * one with the longest path first, else the helper for all registries.
 *
 * @param host `HOST` or `HOST:PORT`
 * @throws {EnrootError} code `bad-credentials` when the entry cannot be read
 */
export function findInAuthFile(
  { auths, credHelpers, credsStore }: AuthFile,
  host: string,
  repository: string,
  file: string,
): AuthAnswer | undefined {
  const hosts = hubNames.includes(host) ? hubNames : [host];
  const server = hubNames.includes(host) ? hubServer : host;
  const helpers = credHelpers ?? {};
  const named = Object.keys(helpers).find((key) => hosts.includes(hostOf(key)));
  if (named !== undefined) {
    const name = helpers[named] ?? "";
    // An empty name is how containers-auth.json(5) turns a helper off for a registry.
    if (name !== "") return { kind: "helper", name, server };
  }
  const parts = repository.split("/");
  const paths = parts.map((_, index) => `/${parts.slice(0, parts.length - index).join("/")}`);
  const entries = Object.entries(auths ?? {});
  for (const path of [...paths, ""]) {
    for (const [key, entry] of entries) {
      if (!hosts.some((each) => path === "" ? hostOf(key) === each : key === `${each}${path}`)) {
        continue;
      }
      const credential = credentialOf(entry, `${file}: the entry '${key}'`);
      if (credential !== undefined) return { kind: "credential", credential, entry: key };
    }
  }
  if (credsStore === undefined || credsStore === "") return undefined;
  const known = entries.find(([key]) => hosts.includes(hostOf(key)))?.[0];
  return { kind: "helper", name: credsStore, server: known ?? server };
}

/** The host of a key; keys with a scheme are addresses, others with a path are for less than a host. */
function hostOf(key: string): string {
  const [, scheme, host = "", path = ""] = /^(https?:\/\/)?([^/]*)(.*)$/.exec(key.toLowerCase()) ??
    [];
  return scheme !== undefined || path === "" || path === "/" ? host : "";
}

function credentialOf(entry: z.infer<typeof entrySchema>, what: string): Credential | undefined {
  const { auth = "", identitytoken = "", username = "", password = "" } = entry;
  if (identitytoken !== "") return { kind: "identity-token", token: identitytoken };
  if (auth === "") {
    return username === "" || password === ""
      ? undefined
      : { kind: "password", user: username, password };
  }
  const [, user, secret] = /^([^:]+):(.*)$/s.exec(decodeBase64(auth) ?? "") ?? [];
  if (user === undefined || secret === undefined) {
    throw new EnrootError(
      "bad-credentials",
      `${what} has an 'auth' that is not USER:PASSWORD in base64`,
    );
  }
  // Docker pads old entries with zeros.
  return { kind: "password", user, password: secret.replace(/\0+$/, "") };
}

function decodeBase64(text: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
