/**
 * Whether a registry can be reached.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { fail, type Finding, ok } from "./finding.ts";

/** How it is spoken to. */
export interface RegistryOptions {
  readonly allowHttp: boolean;
  /** 0: no limit but the one of this check. */
  readonly connectTimeoutSeconds: number;
}

const usualSeconds = 30;

/**
 * Ask a registry whether it is one: any answer but a server's error will do, most want to know first who
 * asks. Source: OCI distribution specification, end-1.
 *
 * @param host `HOST` or `HOST:PORT`
 */
export async function checkRegistry(host: string, options: RegistryOptions): Promise<Finding> {
  const name = `registry ${host}`;
  const real = /^(?:index\.)?docker\.io$/.test(host) ? "registry-1.docker.io" : host;
  const reasons: string[] = [];
  for (const scheme of options.allowHttp ? ["https", "http"] : ["https"]) {
    const url = URL.parse(`${scheme}://${real}/v2/`);
    if (url?.pathname !== "/v2/" || url.username !== "" || url.search !== "") {
      return fail(
        name,
        "this is no HOST or HOST:PORT",
        "write for example registry.example.com:5000",
      );
    }
    const seconds = options.connectTimeoutSeconds || usualSeconds;
    try {
      const response = await fetch(url, {
        redirect: "manual",
        headers: { "user-agent": "enroot" },
        signal: AbortSignal.timeout(seconds * 1000),
      });
      await response.body?.cancel();
      if (response.status < 500) return ok(name, `${url} answers (status ${response.status})`);
      reasons.push(`${url} answers with status ${response.status}`);
    } catch (error) {
      reasons.push(`${url}: ${innermost(error)}`);
    }
  }
  return fail(name, reasons.join("; "), remedyFor(reasons.join(" "), options));
}

function remedyFor(reasons: string, { allowHttp }: RegistryOptions): string {
  if (/certificate/i.test(reasons)) {
    return "install the certificate of its authority, or name it with SSL_CERT_FILE";
  }
  if (/lookup address/i.test(reasons)) return "look at its name, and at /etc/resolv.conf";
  if (/status 5/.test(reasons)) return "ask those who run it, or try again later";
  const proxy = "look at the firewall, and set https_proxy where there is a proxy";
  return allowHttp ? proxy : `${proxy}; a registry without TLS needs ENROOT_ALLOW_HTTP=y`;
}

function innermost(error: unknown): string {
  let found = error;
  while (found instanceof Error && found.cause instanceof Error) found = found.cause;
  return reasonOf(found);
}
