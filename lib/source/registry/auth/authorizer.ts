/**
 * What authenticates requests to one registry.
 *
 * @module
 */

import { EnrootError } from "../../../errors.ts";
import {
  type Credential,
  type CredentialSearch,
  describeSearch,
} from "../../credentials/credential.ts";
import { type Challenge, parseChallenges } from "../challenge.ts";
import { RegistryError } from "../error.ts";
import type { HttpRequest } from "../http.ts";
import { basicOf, fetchToken, type Token } from "./token_server.ts";

/** How an authorizer reaches the world. */
export interface AuthorizerOptions {
  /** The registry: `HOST` or `HOST:PORT`. */
  readonly host: string;
  readonly allowHttp: boolean;
  /** Ends what is shared by all requests: no single one's end may end it. */
  readonly signal: AbortSignal;
  /** Look for credentials; a token server's host is given when its entry may be used. */
  readonly search: (tokenHost: string | undefined) => Promise<CredentialSearch>;
  /** Send a request, following redirects of a GET. */
  readonly send: (url: URL, request: HttpRequest) => Promise<Response>;
}

/** What authenticates a request. Compared by identity. */
export interface Grant {
  /** The value of `Authorization`; it never goes into a message. */
  readonly authorization: Promise<string>;
}

interface HeldGrant extends Grant {
  readonly challenge: Challenge;
  /** When the next one is fetched, by `performance.now()`; set when the authorization is there. */
  renewAt: number;
}

/** How long before its end a token is replaced, in seconds: it still has to arrive. */
const margin = 10;

/**
 * The grants of one registry, one a scope, shared by all requests. A token is replaced before it ends,
 * and once for all requests that are refused with it.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #grants = new Map<string, HeldGrant>();
  /** By token server; a registry may name several. */
  readonly #searches = new Map<string, Promise<CredentialSearch>>();
  readonly #refreshTokens = new Map<string, string>();
  /** The last search that an answer came of. */
  #search: CredentialSearch | undefined;

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** Who has asked, for the explanation of a refusal; `undefined` when nobody was asked for. */
  get description(): string | undefined {
    return this.#search === undefined
      ? undefined
      : describeSearch(this.#search, this.#options.host);
  }

  /** What requests of a scope are to be sent with; `undefined` before the first challenge. */
  current(scope: string): Grant | undefined {
    const held = this.#grants.get(scope);
    return held !== undefined && held.renewAt <= performance.now()
      ? this.#renew(scope, held.challenge)
      : held;
  }

  /**
   * What a request is to be sent with again after a 401.
   *
   * @param header the challenge: `WWW-Authenticate`
   * @param refused what it was sent with
   * @returns `undefined` when there is nothing else to send
   * @throws {EnrootError} code `insecure` for a token server that may not be asked, `bad-credentials`
   */
  async answer(
    header: string,
    scope: string,
    refused: Grant | undefined,
  ): Promise<Grant | undefined> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find(({ scheme, parameters }) =>
      scheme === "bearer" && parameters.has("realm")
    );
    const challenge = bearer ?? challenges.find(({ scheme }) => scheme === "basic");
    if (challenge === undefined) return undefined;
    if (challenge.scheme === "basic") {
      const { found } = await this.#searchFor(undefined);
      if (found?.credential.kind !== "password") return undefined;
    }
    // Of many requests that are refused at once, the first one fetches a new token for all.
    const held = this.#grants.get(scope);
    if (held !== undefined && held !== refused) return held;
    // The same password would be refused again.
    if (challenge.scheme === "basic" && held?.challenge.scheme === "basic") return undefined;
    return this.#renew(scope, challenge);
  }

  #renew(scope: string, challenge: Challenge): Grant {
    const { promise: authorization, resolve, reject } = Promise.withResolvers<string>();
    const held: HeldGrant = { authorization, challenge, renewAt: Infinity };
    this.#grants.set(scope, held);
    this.#obtain(scope, challenge).then(({ value, lifetime }) => {
      const wait = Math.max(lifetime - margin, lifetime / 2);
      held.renewAt = performance.now() + wait * 1000;
      resolve(value);
    }).catch((error) => {
      // A failure is not kept: the next request begins anew.
      if (this.#grants.get(scope) === held) this.#grants.delete(scope);
      reject(error);
    });
    // Whoever uses it is told of a failure; it may be that nobody does any more.
    authorization.catch(() => {});
    return held;
  }

  async #obtain(scope: string, challenge: Challenge): Promise<Pick<Token, "value" | "lifetime">> {
    if (challenge.scheme === "basic") {
      const { found } = await this.#searchFor(undefined);
      if (found?.credential.kind !== "password") throw new Error("a password was found before");
      return { value: basicOf(found.credential), lifetime: Infinity };
    }
    const { parameters } = challenge;
    const realm = this.#realm(parameters.get("realm") ?? "");
    const belongs = belongTogether(this.#options.host, realm.host);
    const search = await this.#searchFor(belongs ? realm.host : undefined);
    const service = parameters.get("service");
    // With credentials of a name next door, no more is asked for than what is pulled.
    const isNextDoor = belongs && !isWithin(this.#options.host, realm.host);
    const asked = isNextDoor ? "" : parameters.get("scope") ?? "";
    const scopes = [...new Set([...asked.split(/\s+/), scope])].filter((each) => each !== "");
    const token = await this.#ask({ realm, service, scopes }, search);
    return { value: `Bearer ${token.value}`, lifetime: token.lifetime };
  }

  /** Ask with what the server gave for such questions, if it did, else with the credential. */
  async #ask(
    question: { realm: URL; service: string | undefined; scopes: readonly string[] },
    search: CredentialSearch,
  ): Promise<Token> {
    const { host, send, signal } = this.#options;
    const asked = describeSearch(search, host);
    const key = `${question.realm} ${question.service}`;
    const ask = async (credential: Credential | undefined): Promise<Token> => {
      const token = await fetchToken(
        { ...question, asked, ...(credential === undefined ? {} : { credential }) },
        send,
        host,
        signal,
      );
      if (token.refreshToken !== undefined) this.#refreshTokens.set(key, token.refreshToken);
      return token;
    };
    const refreshToken = this.#refreshTokens.get(key);
    if (refreshToken !== undefined) {
      try {
        return await ask({ kind: "identity-token", token: refreshToken });
      } catch (error) {
        if (!(error instanceof RegistryError) || error.status >= 500) throw error;
        this.#refreshTokens.delete(key);
      }
    }
    return await ask(search.found?.credential);
  }

  async #searchFor(tokenHost: string | undefined): Promise<CredentialSearch> {
    const key = tokenHost ?? "";
    const search = this.#searches.get(key) ?? this.#options.search(tokenHost);
    this.#searches.set(key, search);
    return this.#search = await search;
  }

  #realm(text: string): URL {
    const { host, allowHttp } = this.#options;
    const url = URL.parse(text);
    if (url?.protocol === "https:" || url?.protocol === "http:" && allowHttp) {
      url.username = url.password = url.hash = "";
      return url;
    }
    throw new EnrootError(
      "insecure",
      url?.protocol === "http:"
        ? `${host} names the token server ${url.host} without TLS: ENROOT_ALLOW_HTTP=y allows it`
        : `${host} names a token server that is no https address`,
    );
  }
}

/**
 * Whether a token server may be given the credentials that are noted under its own name.
 *
 * Any registry may name any token server, and is sent the token that comes of it: with another
 * company's server it would get a token for that company's images. So they have to be names in one
 * domain, or one host.
 */
export function belongTogether(registry: string, tokenServer: string): boolean {
  const [one, other] = [registry, tokenServer].map((host) =>
    host.toLowerCase().replace(/:\d+$/, "")
  );
  if (one === undefined || other === undefined || one === other) return one === other;
  if (/^[\d.]+$|[:[]/.test(one + other)) return false;
  const domainOf = (name: string): string => name.split(".").slice(1).join(".");
  // Under `co.uk` and the like names are of anybody.
  const isDomain = (name: string): boolean =>
    name.includes(".") && !/^[a-z]{1,3}\.[a-z]{2}$/.test(name);
  return domainOf(one) === domainOf(other) && isDomain(domainOf(one)) ||
    one.includes(".") && other.endsWith(`.${one}`) ||
    other.includes(".") && one.endsWith(`.${other}`);
}

/** Whether two hosts are one, or one's name is below the other's. */
function isWithin(one: string, other: string): boolean {
  return one === other || one.endsWith(`.${other}`) || other.endsWith(`.${one}`);
}
