/**
 * Asking one host of a registry: with or without TLS, and with tokens that go to nobody else.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { searchCredentials } from "../credentials/search.ts";
import type { SourceOptions } from "../options.ts";
import { Authorizer } from "./auth/authorizer.ts";
import { refusal } from "./error.ts";
import type { RegistryHost } from "./hosts/hosts.ts";
import type { Http, HttpRequest } from "./http.ts";

/** The status of a request that was not understood. */
const badRequest = 400;

const maxRedirects = 10;

/** An answer, with who gave it: a redirect may have led elsewhere. */
interface Answer {
  readonly response: Response;
  readonly url: URL;
  /** Whether it is the host's own. */
  readonly isOwn: boolean;
}

/** What of a registry is asked for. */
export interface RegistryRequest {
  /** Below `/v2`: `/REPOSITORY/…`. */
  readonly path: string;
  readonly repository: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The thing that is asked for, for messages. */
  readonly what: string;
  /** Ends the request, and the answer's body. */
  readonly signal: AbortSignal;
}

/** A host that can be asked. One instance serves all requests of an import. */
export class Endpoint {
  readonly host: RegistryHost;
  readonly #options: SourceOptions;
  readonly #http: Http;
  readonly #authorizers = new Map<string, Authorizer>();
  /** Those that there were credentials for. */
  readonly #withCredentials = new Set<string>();
  readonly #user: string | undefined;
  #origin: string | undefined;
  /** Settles when the first request knows the origin, or has failed. */
  #finding: Promise<void> | undefined;

  /** @param user whose credentials are asked for; absent: anybody's */
  constructor(host: RegistryHost, http: Http, options: SourceOptions, user: string | undefined) {
    this.host = host;
    this.#http = http;
    this.#options = options;
    this.#user = user;
    this.#origin = host.origin;
  }

  /**
   * Ask for something, once; a challenge is answered.
   *
   * @returns an answer with a status of 200 to 299, its body unread
   * @throws {RegistryError} on any other final status; {@linkcode EnrootError} as {@linkcode Http.send}, and
   * code `insecure`, `redirects`, `bad-credentials` or `bad-token`
   */
  async get(request: RegistryRequest): Promise<Response> {
    const { path, repository, headers, what, signal } = request;
    const authorizer = this.#authorizerOf(repository);
    const scope = `repository:${repository}:pull`;
    const ask = async (authorization: string | undefined): Promise<Answer> =>
      await this.#reach((origin) => {
        const url = new URL(`${origin}${this.host.path}${path}`);
        if (this.host.mirrorOf !== undefined) url.searchParams.set("ns", this.host.mirrorOf);
        const own = authorization === undefined ? {} : { authorization };
        return this.#follow(url, headers, { ...this.host.headers, ...own }, signal);
      });

    const grant = authorizer.current(scope);
    let answer = await ask(await grant?.authorization);
    // A store that a redirect led to is not the registry, and gets no answer to its challenges.
    if (answer.isOwn && answer.response.status === 401) {
      const challenge = answer.response.headers.get("www-authenticate") ?? "";
      const next = await authorizer.answer(challenge, scope, grant);
      if (next !== undefined) {
        await answer.response.body?.cancel();
        answer = await ask(await next.authorization);
      }
    }
    const { response, url, isOwn } = answer;
    if (response.ok) return response;
    if (isOwn) throw await refusal(what, response, signal, authorizer.description);
    throw await refusal(
      `${what}, at ${url.host}, where ${this.host.host} redirects to`,
      response,
      signal,
    );
  }

  /** Whether what it answered of a repository so far was an answer to nobody in particular. */
  isAnonymous(repository: string): boolean {
    return !this.#withCredentials.has(repository) && !this.#http.showsCertificate &&
      Object.keys(this.host.headers).length === 0;
  }

  #authorizerOf(repository: string): Authorizer {
    const known = this.#authorizers.get(repository);
    if (known !== undefined) return known;
    const { host, mirrorOf } = this.host;
    const { allowHttp, signal, log } = this.#options;
    const made = new Authorizer({
      host,
      allowHttp,
      signal,
      search: async (tokenHost) => {
        const isMirror = mirrorOf !== undefined;
        const user = isMirror ? undefined : this.#user;
        const search = await searchCredentials(
          { host, tokenHost, repository, user, allowDefault: !isMirror },
          this.#options,
        );
        const { found, looked } = search;
        if (found !== undefined) this.#withCredentials.add(repository);
        if (found !== undefined) log("debug", `${host}: credentials of ${found.source}`);
        else log("debug", `${host}: no credentials in ${looked.join(", ") || "any file"}`);
        if (user === undefined || found !== undefined) return search;
        throw new EnrootError(
          "no-credentials",
          `there are no credentials of '${user}' for ${host}: looked in ${looked.join(", ")}`,
        );
      },
      send: async (url, request) => {
        if (request.method === "POST") return await this.#http.send(url, request, signal);
        return (await this.#follow(url, {}, request.headers ?? {}, signal)).response;
      },
    });
    this.#authorizers.set(repository, made);
    return made;
  }

  /** @param own headers that are for the first origin alone: they do not come back after a detour */
  async #follow(
    first: URL,
    headers: Readonly<Record<string, string>>,
    own: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    let url = first;
    let isOwn = true;
    for (let count = 0; count <= maxRedirects; count++) {
      isOwn &&= url.origin === first.origin;
      const request: HttpRequest = { headers: isOwn ? { ...headers, ...own } : headers };
      const response = await this.#http.send(url, request, signal);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) {
        return { response, url, isOwn };
      }
      await response.body?.cancel();
      const next = URL.parse(location, url);
      if (next?.protocol === "http:" && !this.#options.allowHttp) {
        throw new EnrootError(
          "insecure",
          `${first.host} redirects to ${next.host} without TLS: ENROOT_ALLOW_HTTP=y allows it`,
        );
      }
      if (next?.protocol !== "http:" && next?.protocol !== "https:") break;
      url = next;
    }
    throw new EnrootError("redirects", `${first.host} redirects without end, or to no web address`);
  }

  /** Ask by the origin that is known, or by those that come into question, one request after another. */
  async #reach(ask: (origin: string) => Promise<Answer>): Promise<Answer> {
    while (this.#origin === undefined && this.#finding !== undefined) await this.#finding;
    if (this.#origin !== undefined) return await ask(this.#origin);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#finding = promise;
    try {
      return await this.#tryProtocols(ask);
    } finally {
      this.#finding = undefined;
      resolve();
    }
  }

  /**
   * TLS if the host speaks it; else, where that is allowed, plain HTTP. On this machine itself, where
   * nobody is on the way, the other way round: registries there rarely speak TLS, and to find that out
   * takes longer than all else.
   */
  async #tryProtocols(ask: (origin: string) => Promise<Answer>): Promise<Answer> {
    const { allowHttp, log } = this.#options;
    const { host } = this.host;
    const secure = `https://${host}`;
    if (allowHttp && isLoopback(host)) {
      const answer = await this.#tryPlain(ask);
      if (answer !== undefined) return answer;
    }
    try {
      const answer = await ask(secure);
      this.#origin = secure;
      return answer;
    } catch (error) {
      if (!(error instanceof EnrootError) || error.code !== "unreachable") throw error;
      // A redirect's host that is not reached says nothing of this one. A name that is not found and a
      // host that is silent are not for want of plain HTTP.
      if (!error.message.includes(host)) throw error;
      if (/lookup address|ENROOT_CONNECT_TIMEOUT/.test(error.message)) throw error;
      if (!allowHttp) {
        throw new EnrootError(
          "unreachable",
          `${error.message} (a registry without TLS needs ENROOT_ALLOW_HTTP=y)`,
          { cause: error },
        );
      }
      const plain = `http://${host}`;
      const answer = await ask(plain);
      this.#origin = plain;
      log("debug", `${host} is spoken to without TLS`);
      return answer;
    }
  }

  /** Without TLS; `undefined` when that is not how this host is spoken to. */
  async #tryPlain(ask: (origin: string) => Promise<Answer>): Promise<Answer | undefined> {
    const plain = `http://${this.host.host}`;
    let answer: Answer;
    try {
      answer = await ask(plain);
    } catch (error) {
      if (error instanceof EnrootError && error.code === "unreachable") return undefined;
      throw error;
    }
    // What servers that speak TLS answer to somebody who does not.
    if (answer.response.status === badRequest) {
      await answer.response.body?.cancel();
      return undefined;
    }
    this.#origin = plain;
    return answer;
  }
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/.test(host);
}
