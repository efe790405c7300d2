/**
 * HTTP to one registry: with or without TLS, with an end to every wait, and with tokens that go to
 * nobody else.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError, reasonOf } from "../../errors.ts";
import { parseJson } from "../../oci/manifest.ts";
import type { SourceOptions } from "../options.ts";
import { readDocumentBody } from "./body.ts";
import { parseChallenges } from "./challenge.ts";
import { refusal } from "./error.ts";

const maxRedirects = 10;

// Source: Docker's token authentication specification.
const tokenSchema = z.object({
  token: z.optional(z.string()),
  access_token: z.optional(z.string()),
});

/** A registry that can be asked. One instance serves all requests of an import. */
export class Transport {
  readonly #host: string;
  readonly #options: SourceOptions;
  /** Which protocol the host speaks; found out by the first request. */
  #origin: Promise<string> | undefined;
  /** Value of `Authorization` by scope. */
  readonly #tokens = new Map<string, Promise<string>>();

  /** @param host `HOST` or `HOST:PORT` */
  constructor(host: string, options: SourceOptions) {
    this.#host = host;
    this.#options = options;
  }

  /**
   * Ask the registry for something, once; a challenge is answered.
   *
   * Redirects are followed; what authenticates to the registry is not sent to another origin. A
   * failure leaves nothing behind that would make the next attempt fail.
   *
   * @param path absolute, below the host
   * @param what the thing that is asked for, for messages
   * @param signal ends the request, and the answer's body
   * @returns an answer with a status of 200 to 299, its body unread
   * @throws {RegistryError} on any other final status; {@linkcode EnrootError} code `unreachable`
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    what: string,
    signal: AbortSignal,
  ): Promise<Response> {
    const url = new URL(path, await this.#findOrigin());
    const scope = scopeOf(path);
    const known = this.#tokens.get(scope);
    let response = await this.#follow(url, headers, await known, signal);
    if (response.status === 401) {
      const challenge = response.headers.get("www-authenticate") ?? "";
      // Of many requests that are refused at once, the first one fetches a new token for all.
      const token = this.#tokens.get(scope) === known
        ? this.#authenticate(challenge, scope)
        : this.#tokens.get(scope);
      if (token !== undefined) {
        await response.body?.cancel();
        response = await this.#follow(url, headers, await token, signal);
      }
    }
    if (response.ok) return response;
    throw await refusal(what, response, signal);
  }

  async #follow(
    first: URL,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    let url = first;
    for (let count = 0; count <= maxRedirects; count++) {
      const isOurs = url.origin === first.origin;
      const sent = isOurs && authorization !== undefined
        ? { ...headers, authorization }
        : { ...headers };
      const response = await this.#fetch(url, sent, signal);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) return response;
      await response.body?.cancel();
      url = new URL(location, url);
      if (url.protocol === "http:" && !this.#options.allowHttp) {
        throw new EnrootError(
          "insecure",
          `${this.#host} redirects to ${url.origin}, without TLS: ENROOT_ALLOW_HTTP=y allows it`,
        );
      }
      if (url.protocol !== "http:" && url.protocol !== "https:") break;
    }
    throw new EnrootError("redirects", `${this.#host} redirects without end, or to no web address`);
  }

  /** The origin that is spoken to; a failure to find it is not kept. */
  #findOrigin(): Promise<string> {
    if (this.#origin !== undefined) return this.#origin;
    const found = this.#tryProtocols();
    this.#origin = found;
    found.catch(() => this.#origin = undefined);
    return found;
  }

  /** TLS if the host speaks it; else, where that is allowed, plain HTTP. */
  async #tryProtocols(): Promise<string> {
    // Shared by all requests: no single one's end may end it.
    const { signal, allowHttp, log } = this.#options;
    const ask = async (origin: string): Promise<string> => {
      const response = await this.#fetch(new URL("/v2/", origin), {}, signal);
      await response.body?.cancel();
      return origin;
    };
    try {
      return await ask(`https://${this.#host}`);
    } catch (error) {
      if (!(error instanceof EnrootError) || error.code !== "unreachable") throw error;
      // A name that is not found and a host that is silent are not for want of plain HTTP.
      if (/lookup address|ENROOT_CONNECT_TIMEOUT/.test(error.message)) throw error;
      if (!allowHttp) {
        throw new EnrootError(
          "unreachable",
          `${error.message} (a registry without TLS needs ENROOT_ALLOW_HTTP=y)`,
          { cause: error },
        );
      }
      const origin = await ask(`http://${this.#host}`);
      log("debug", `${this.#host} is spoken to without TLS`);
      return origin;
    }
  }

  /**
   * The value of `Authorization` that a challenge asks for, kept for the scope unless it fails;
   * `undefined` when it cannot be had.
   */
  #authenticate(header: string, scope: string): Promise<string> | undefined {
    const bearer = parseChallenges(header).find(({ scheme }) => scheme === "bearer");
    if (!bearer?.parameters.has("realm")) return undefined;
    const token = this.#fetchToken(bearer.parameters, scope);
    this.#tokens.set(scope, token);
    token.catch(() => {
      if (this.#tokens.get(scope) === token) this.#tokens.delete(scope);
    });
    return token;
  }

  async #fetchToken(parameters: ReadonlyMap<string, string>, scope: string): Promise<string> {
    // Shared by all requests: no single one's end may end it.
    const { signal } = this.#options;
    const url = this.#realm(parameters.get("realm") ?? "");
    const service = parameters.get("service");
    if (service !== undefined) url.searchParams.set("service", service);
    url.searchParams.set("scope", parameters.get("scope") ?? scope);
    const response = await this.#follow(url, {}, undefined, signal);
    if (!response.ok) throw await refusal(`the token server of ${this.#host}`, response, signal);
    const what = `the answer of ${this.#host}'s token server`;
    const bytes = await readDocumentBody(response, what, { signal });
    const parsed = z.safeParse(tokenSchema, parseJson(bytes, what, "bad-token"));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
      throw new EnrootError("bad-token", `${what} holds no token`);
    }
    return `Bearer ${token}`;
  }

  #realm(text: string): URL {
    const url = URL.parse(text);
    const isWeb = url?.protocol === "https:" ||
      url?.protocol === "http:" && this.#options.allowHttp;
    if (url !== null && isWeb) return url;
    throw new EnrootError(
      "insecure",
      `${this.#host} names a token server that is not asked: '${
        text.slice(0, 200)
      }' is no https address`,
    );
  }

  async #fetch(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { connectTimeoutSeconds } = this.#options;
    const timer = new AbortController();
    const limit = connectTimeoutSeconds > 0
      ? setTimeout(() => timer.abort(), connectTimeoutSeconds * 1000)
      : undefined;
    try {
      return await fetch(url, {
        headers: { ...headers, "accept-encoding": "identity", "user-agent": "enroot" },
        redirect: "manual",
        signal: AbortSignal.any([signal, timer.signal]),
      });
    } catch (error) {
      signal.throwIfAborted();
      const reason = timer.signal.aborted
        ? `no answer in ${connectTimeoutSeconds} s (ENROOT_CONNECT_TIMEOUT)`
        : causeOf(error);
      // Not a case for plain HTTP: somebody may stand between.
      if (/certificate/i.test(reason)) {
        throw new EnrootError(
          "untrusted",
          `cannot trust ${url.host}: ${reason}: install its authority's certificate, or name it ` +
            "with SSL_CERT_FILE",
          { cause: error },
        );
      }
      throw new EnrootError("unreachable", `cannot reach ${url.host}: ${reason}`, { cause: error });
    } finally {
      clearTimeout(limit);
    }
  }
}

/** Tokens are for a repository: `/v2/REPOSITORY/manifests/…`, `/v2/REPOSITORY/blobs/…`. */
function scopeOf(path: string): string {
  const [, repository = ""] = /^\/v2\/(.*)\/(?:manifests|blobs)\//.exec(path) ?? [];
  return `repository:${repository}:pull`;
}

/** The innermost reason of a failed fetch: the outer ones only repeat the address. */
function causeOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) {
    innermost = innermost.cause;
  }
  const text = reasonOf(innermost);
  return text.split(": ").slice(-2).join(": ").replace(/^.*client error \(Connect\): /, "");
}
