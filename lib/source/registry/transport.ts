/**
 * Requests to one registry, by whichever of its hosts answers.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import { Endpoint, type RegistryRequest } from "./endpoint.ts";
import { findHosts } from "./hosts/hosts.ts";
import type { Capability } from "./hosts/hosts_toml.ts";
import { Http } from "./http.ts";

/** What is asked of a registry. */
interface Question {
  readonly capability: Capability;
  readonly request: RegistryRequest;
}

/**
 * A registry that can be asked. One instance serves all requests of an import. Disposing of it closes
 * connections that have certificates of their own.
 */
export class Transport implements Disposable {
  readonly #http: Http;
  readonly #options: SourceOptions;
  readonly #mirrors: readonly Endpoint[];
  readonly #registry: Endpoint;
  /** Mirrors that are not asked any more, and why: each further try would be for nothing. */
  readonly #left = new Map<Endpoint, string>();
  readonly #givers = new WeakMap<Response, Endpoint>();

  /**
   * @param host `HOST` or `HOST:PORT`
   * @param user whose credentials are asked for; absent: anybody's
   * @throws {EnrootError} code `bad-hosts-file` or `bad-certificate` for what the site has set
   */
  constructor(host: string, options: SourceOptions, user?: string) {
    const hosts = findHosts(host, options);
    this.#options = options;
    this.#http = new Http(options, (each) => hosts.certificatesOf(each));
    const endpoints = hosts.list.map((each) => new Endpoint(each, this.#http, options, user));
    const registry = endpoints.pop();
    if (registry === undefined) throw new Error("the last host is the registry itself");
    this.#registry = registry;
    this.#mirrors = endpoints;
  }

  /**
   * Ask the registry for something, once; a challenge is answered.
   *
   * Mirrors are asked first, with their own credentials only, and whatever they answer but the thing
   * itself, the next one is asked; whether it is the thing is for the caller to find out, who then says
   * so with {@linkcode Transport.leave}. Redirects are followed; what authenticates to a host is not sent to
   * another origin. A failure leaves nothing behind that would make the next attempt fail.
   *
   * @param path `/v2/REPOSITORY/manifests/…` or `/v2/REPOSITORY/blobs/…`
   * @param what the thing that is asked for, for messages
   * @param signal ends the request, and the answer's body
   * @returns an answer with a status of 200 to 299, its body unread
   * @throws {RegistryError} on any other final status; {@linkcode EnrootError} code `unreachable` and
   * others of {@linkcode Endpoint.get}
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    what: string,
    signal: AbortSignal,
  ): Promise<Response> {
    const { capability, request } = questionOf(path, headers, what, signal);
    let said = "";
    for (const mirror of this.#mirrors) {
      const { host, capabilities } = mirror.host;
      if (!capabilities.includes(capability)) continue;
      const why = this.#left.get(mirror);
      if (why !== undefined) {
        said = why;
        continue;
      }
      try {
        const answer = await mirror.get(request);
        this.#givers.set(answer, mirror);
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof EnrootError)) throw error;
        said = `mirror ${host}: ${error.message}`;
        const isSilent = ["unreachable", "untrusted"].includes(error.code);
        if (isSilent) this.#left.set(mirror, said);
        this.#options.log(
          isSilent ? "warning" : "debug",
          `${said}; asking the next host`,
        );
      }
    }
    try {
      return await this.#registry.get(request);
    } catch (error) {
      // Where only mirrors can be reached it is their word that counts.
      if (said === "" || !(error instanceof EnrootError) || error.code !== "unreachable") {
        throw error;
      }
      throw new EnrootError(error.code, `${said}; ${error.message}`, { cause: error });
    }
  }

  /**
   * Leave out the mirror that gave an answer, because what it sent was of no use: it is not asked any
   * more. A warning names it, once.
   *
   * @param answer what {@linkcode Transport.get} returned
   * @param error what was wrong with it
   * @returns whether the same request makes sense once more, because another host is asked now; not
   * when the answer was the registry's own
   */
  leave(answer: Response, error: EnrootError): boolean {
    const mirror = this.#givers.get(answer);
    if (mirror === undefined) return false;
    if (!this.#left.has(mirror)) {
      const said = `mirror ${mirror.host.host}: ${error.message}`;
      this.#left.set(mirror, said);
      this.#options.log("warning", `${said}; it is left out, asking the next host`);
    }
    return true;
  }

  /**
   * Whether an answer was given to nobody in particular: with neither credentials nor a certificate.
   *
   * @param answer what {@linkcode Transport.get} returned
   * @param repository what was asked of
   */
  isAnonymous(answer: Response, repository: string): boolean {
    return (this.#givers.get(answer) ?? this.#registry).isAnonymous(repository);
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }
}

function questionOf(
  path: string,
  headers: Readonly<Record<string, string>>,
  what: string,
  signal: AbortSignal,
): Question {
  const [, repository = "", kind, name = ""] = /^\/v2\/(.*)\/(manifests|blobs)\/([^/]+)$/
    .exec(path) ?? [];
  return {
    capability: kind === "manifests" && !name.includes(":") ? "resolve" : "pull",
    request: { path: path.slice("/v2".length), repository, headers, what, signal },
  };
}
