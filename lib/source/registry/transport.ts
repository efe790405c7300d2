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
import { parseChallenges } from "./challenge.ts";
import { refusal } from "./error.ts";

const maxRedirects = 10;
const firstBackoff = 500;
const longestBackoff = 30_000;

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
   * Ask the registry for something.
   *
   * Redirects are followed; what authenticates to the registry is not sent to another origin. Refusals
   * that may pass (429, 5xx) and failures of the network are tried again as often as configured.
   *
   * @param path absolute, below the host
   * @param what the thing that is asked for, for messages
   * @returns an answer with a status of 200 to 299, its body unread
   * @throws {RegistryError} on any other final status; {@linkcode EnrootError} code `unreachable`
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    what: string,
  ): Promise<Response> {
    for (let attempt = 0;; attempt++) {
      let failure: EnrootError;
      let wait = backoff(attempt);
      try {
        const response = await this.#getOnce(path, headers);
        if (response.ok) return response;
        const after = retryAfter(response);
        failure = await refusal(what, response);
        if (response.status !== 429 && response.status < 500) throw failure;
        wait = after ?? wait;
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (!(error instanceof EnrootError) || error.code !== "unreachable") throw error;
        failure = error;
      }
      if (attempt >= this.#options.retries) throw failure;
      this.#options.log("warning", `${failure.message}; trying again`);
      await sleep(wait, this.#options.signal);
    }
  }

  async #getOnce(path: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const url = new URL(path, await this.#findOrigin());
    const scope = scopeOf(path);
    const known = await this.#tokens.get(scope);
    const response = await this.#follow(url, headers, known);
    if (response.status !== 401) return response;
    const challenge = response.headers.get("www-authenticate") ?? "";
    const token = this.#authenticate(challenge, scope);
    if (token === undefined) return response;
    await response.body?.cancel();
    this.#tokens.set(scope, token);
    return await this.#follow(url, headers, await token);
  }

  async #follow(
    first: URL,
    headers: Readonly<Record<string, string>>,
    authorization: string | undefined,
  ): Promise<Response> {
    let url = first;
    for (let count = 0; count <= maxRedirects; count++) {
      const isOurs = url.origin === first.origin;
      const sent = isOurs && authorization !== undefined
        ? { ...headers, authorization }
        : { ...headers };
      const response = await this.#fetch(url, sent);
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

  /** TLS if the host speaks it; else, where that is allowed, plain HTTP. */
  #findOrigin(): Promise<string> {
    this.#origin ??= (async () => {
      const secure = `https://${this.#host}`;
      try {
        const response = await this.#fetch(new URL("/v2/", secure), {});
        await response.body?.cancel();
        return secure;
      } catch (error) {
        if (!(error instanceof EnrootError) || error.code !== "unreachable") throw error;
        // A name that is not found and a host that is silent are not for want of plain HTTP.
        if (/lookup address|ENROOT_CONNECT_TIMEOUT/.test(error.message)) throw error;
        if (!this.#options.allowHttp) {
          throw new EnrootError(
            "unreachable",
            `${error.message} (a registry without TLS needs ENROOT_ALLOW_HTTP=y)`,
            { cause: error },
          );
        }
        const plain = `http://${this.#host}`;
        const response = await this.#fetch(new URL("/v2/", plain), {});
        await response.body?.cancel();
        this.#options.log("debug", `${this.#host} is spoken to without TLS`);
        return plain;
      }
    })();
    return this.#origin;
  }

  /** The value of `Authorization` that a challenge asks for; `undefined` when it cannot be had. */
  #authenticate(header: string, scope: string): Promise<string> | undefined {
    const bearer = parseChallenges(header).find(({ scheme }) => scheme === "bearer");
    const realm = bearer?.parameters.get("realm");
    if (bearer === undefined || realm === undefined) return undefined;
    return (async () => {
      const url = this.#realm(realm);
      const service = bearer.parameters.get("service");
      if (service !== undefined) url.searchParams.set("service", service);
      url.searchParams.set("scope", bearer.parameters.get("scope") ?? scope);
      const response = await this.#follow(url, {}, undefined);
      if (!response.ok) throw await refusal(`the token server of ${this.#host}`, response);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const what = `the answer of ${this.#host}'s token server`;
      const parsed = z.safeParse(tokenSchema, parseJson(bytes, what, "bad-token"));
      const token = parsed.data?.token ?? parsed.data?.access_token;
      if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
        throw new EnrootError("bad-token", `${what} holds no token`);
      }
      return `Bearer ${token}`;
    })();
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

  async #fetch(url: URL, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { signal, connectTimeoutSeconds } = this.#options;
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

function backoff(attempt: number): number {
  // Many nodes fail at the same moment: they must not come back at the same moment.
  return Math.min(longestBackoff, firstBackoff * 2 ** attempt) * (0.5 + Math.random());
}

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.min(longestBackoff, Math.max(0, wait)) : undefined;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  });
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
