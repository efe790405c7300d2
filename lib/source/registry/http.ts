/**
 * Single requests over HTTP: with an end to every wait, and each host by the certificates it is known by.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import type { Certificates } from "./hosts/certificates.ts";
import { after } from "../../std/timer.ts";

/** What is sent. */
export interface HttpRequest {
  /** `GET` when absent. */
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: URLSearchParams;
}

/** Connections to hosts. Disposing of it closes those that have certificates of their own. */
export class Http implements Disposable {
  readonly #options: Pick<SourceOptions, "connectTimeoutSeconds">;
  readonly #certificatesOf: (host: string) => Certificates | undefined;
  /** By host; `undefined` for those that the system's certificates do for. */
  readonly #clients = new Map<string, Deno.HttpClient | undefined>();
  #showsCertificate = false;

  /** @param certificatesOf those of a host, `HOST` or `HOST:PORT`, beside the system's */
  constructor(
    options: Pick<SourceOptions, "connectTimeoutSeconds">,
    certificatesOf: (host: string) => Certificates | undefined = () => undefined,
  ) {
    this.#options = options;
    this.#certificatesOf = certificatesOf;
  }

  /**
   * Send one request; redirects are not followed.
   *
   * @param signal ends the request, and the answer's body
   * @returns the answer, whatever its status, its body unread
   * @throws {EnrootError} code `unreachable`, or `untrusted` when a certificate is the reason; code
   * `bad-certificate` for one of ours; the signal's reason
   */
  async send(url: URL, request: HttpRequest, signal: AbortSignal): Promise<Response> {
    const { connectTimeoutSeconds } = this.#options;
    const client = this.#clientOf(url);
    const timer = new AbortController();
    using _limit = connectTimeoutSeconds > 0
      ? after(connectTimeoutSeconds * 1000, () => timer.abort())
      : undefined;
    try {
      return await fetch(url, {
        method: request.method ?? "GET",
        headers: { ...request.headers, "accept-encoding": "identity", "user-agent": "enroot" },
        redirect: "manual",
        signal: AbortSignal.any([signal, timer.signal]),
        ...(request.body === undefined ? {} : { body: request.body }),
        ...(client === undefined ? {} : { client }),
      });
    } catch (error) {
      signal.throwIfAborted();
      const reason = timer.signal.aborted
        ? `no answer in ${connectTimeoutSeconds} s (ENROOT_CONNECT_TIMEOUT)`
        : causeOf(error);
      throw failure(url, reason, error);
    }
  }

  /** Whether any host was shown a certificate of ours: it may have answered for that. */
  get showsCertificate(): boolean {
    return this.#showsCertificate;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client?.close();
    this.#clients.clear();
  }

  #clientOf({ protocol, host }: URL): Deno.HttpClient | undefined {
    if (protocol !== "https:") return undefined;
    if (!this.#clients.has(host)) {
      const certificates = this.#certificatesOf(host);
      this.#showsCertificate ||= certificates?.client !== undefined;
      this.#clients.set(host, certificates === undefined ? undefined : makeClient(certificates));
    }
    return this.#clients.get(host);
  }
}

function makeClient({ authorities, client, place }: Certificates): Deno.HttpClient {
  try {
    return Deno.createHttpClient({
      caCerts: [...authorities],
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    });
  } catch (error) {
    // The runtime reads a key only here, and its words are not of the key's content.
    throw new EnrootError(
      "bad-certificate",
      `${place}: a client certificate or its key is not usable: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

function failure({ protocol, host }: URL, reason: string, cause: unknown): EnrootError {
  const advice = `put a client certificate into certs.d/${host} as *.cert and *.key`;
  if (/fatal alert: .*(?:certificate|HandshakeFailure|UnknownCA|AccessDenied)/i.test(reason)) {
    return new EnrootError("untrusted", `${host} does not trust us: ${reason}: ${advice}`, {
      cause,
    });
  }
  // The alert that says why may be lost with the connection.
  if (protocol === "https:" && /connection closed|broken pipe|connection reset/i.test(reason)) {
    return new EnrootError(
      "unreachable",
      `cannot reach ${host}: ${reason}: if it wants to know us, ${advice}`,
      { cause },
    );
  }
  // Not a case for plain HTTP: somebody may stand between.
  if (/certificate/i.test(reason)) {
    return new EnrootError(
      "untrusted",
      `cannot trust ${host}: ${reason}: install its authority's certificate, name it with ` +
        `SSL_CERT_FILE, or put it into certs.d/${host}`,
      { cause },
    );
  }
  return new EnrootError("unreachable", `cannot reach ${host}: ${reason}`, { cause });
}

/** The innermost reason of a failed fetch: the outer ones only repeat the address. */
function causeOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) {
    innermost = innermost.cause;
  }
  const text = reasonOf(innermost).split(": ").slice(-2).join(": ")
    .replace(/^.*client error \(Connect\): /, "");
  return /tunnel|proxy/i.test(text)
    ? `${text}: the proxy of https_proxy, http_proxy or all_proxy does not let it through (no_proxy ` +
      "names hosts that need none)"
    : text;
}
