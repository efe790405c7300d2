/**
 * Token servers: who gives the tokens that registries want.
 *
 * Sources: the distribution project's "Token Authentication Specification" and "Oauth2 Token
 * Authentication".
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../../errors.ts";
import { parseJson } from "../../../oci/manifest.ts";
import type { Credential } from "../../credentials/credential.ts";
import { readDocumentBody } from "../body.ts";
import { refusal } from "../error.ts";
import type { HttpRequest } from "../http.ts";

/** A token that is asked for. */
export interface TokenQuestion {
  /** Where: no user is in it. */
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  /** Who asks; absent: nobody in particular. */
  readonly credential?: Credential;
  /** How the asking is described when it is refused. */
  readonly asked: string;
}

/** What a token server gives. */
export interface Token {
  readonly value: string;
  /** How long it is good, in seconds from now. */
  readonly lifetime: number;
  /** What further tokens may be asked for with in place of the credential. */
  readonly refreshToken?: string;
}

const answerSchema = z.object({
  token: z.optional(z.string()),
  access_token: z.optional(z.string()),
  expires_in: z.optional(z.number()),
  refresh_token: z.optional(z.string()),
});

/** How long a token is good when the answer does not say: the specification's words. */
const defaultLifetime = 60;

const isToken = /^[\x21-\x7e]+$/;

/** Statuses of servers that know only the other way of asking. */
const otherWay: readonly number[] = [404, 405, 501];

/**
 * Ask a token server: by GET, and by POST what GET cannot carry or the server does not take so. What is
 * posted follows no redirect, and the credential follows none to another origin.
 *
 * @param send sends a request, following redirects of a GET
 * @param host the registry, for messages
 * @throws {RegistryError} when it refuses; {@linkcode EnrootError} code `bad-token` when it gives none
 */
export async function fetchToken(
  question: TokenQuestion,
  send: (url: URL, request: HttpRequest) => Promise<Response>,
  host: string,
  signal: AbortSignal,
): Promise<Token> {
  const { credential, realm } = question;
  let response: Response;
  if (credential?.kind === "identity-token") {
    response = await send(realm, postOf(question, credential));
  } else {
    response = await send(...getOf(question, credential));
    if (otherWay.includes(response.status) && credential !== undefined) {
      await response.body?.cancel();
      response = await send(realm, postOf(question, credential));
    }
  }
  const what = `the token server ${realm.host} of ${host}`;
  if (!response.ok) throw await refusal(what, response, signal, question.asked);
  const bytes = await readDocumentBody(response, `the answer of ${what}`, { signal });
  const { data } = z.safeParse(answerSchema, json(bytes, what));
  const value = data?.token || data?.access_token;
  if (value === undefined || !isToken.test(value)) {
    throw new EnrootError("bad-token", `the answer of ${what} holds no token`);
  }
  const refreshToken = data?.refresh_token;
  return {
    value,
    lifetime: Math.max(0, data?.expires_in ?? defaultLifetime),
    ...(refreshToken ? { refreshToken } : {}),
  };
}

/** The text of a `Basic` authorization. */
export function basicOf({ user, password }: Credential & { kind: "password" }): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

function getOf(
  { realm, service, scopes }: TokenQuestion,
  credential: Credential & { kind: "password" } | undefined,
): [URL, HttpRequest] {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credential === undefined) return [url, {}];
  url.searchParams.set("account", credential.user);
  return [url, { headers: { authorization: basicOf(credential) } }];
}

function postOf({ service, scopes }: TokenQuestion, credential: Credential): HttpRequest {
  const body = new URLSearchParams({
    ...(service === undefined ? {} : { service }),
    scope: scopes.join(" "),
    client_id: "enroot",
    ...(credential.kind === "password"
      ? { grant_type: "password", username: credential.user, password: credential.password }
      : { grant_type: "refresh_token", refresh_token: credential.token }),
  });
  return { method: "POST", body };
}

function json(bytes: Uint8Array, what: string): unknown {
  try {
    return parseJson(bytes, what, "bad-token");
  } catch {
    // Its words quote the text, which may be most of a token.
    throw new EnrootError("bad-token", `the answer of ${what} is no JSON`);
  }
}
