/**
 * `hosts.toml`: how a registry is reached. Source: containerd's "Registry Configuration".
 *
 * @module
 */

import { parse } from "@std/toml";
import * as z from "zod/mini";
import { EnrootError } from "../../../errors.ts";
import { issueOf } from "../../../oci/manifest.ts";

/** One host that is asked for a registry's images. */
export interface HostEntry {
  /** With or without TLS, a host and nothing else. */
  readonly origin: string;
  /** What stands in front of `/REPOSITORY/…`, without a slash at its end: mostly `/v2`. */
  readonly path: string;
  /** `resolve`: what a tag stands for; `pull`: what has a digest. */
  readonly capabilities: readonly Capability[];
  /** Files of authorities. */
  readonly authorities: readonly string[];
  /** Files of a client certificate and its key, which may be one. */
  readonly client?: readonly [certificate: string, key: string];
  /** Sent with each request; they may be secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether it is asked not to check certificates. */
  readonly skipsVerification: boolean;
}

/** What a host is good for. */
export type Capability = "resolve" | "pull";

/** A file that was read. */
export interface HostsFile {
  /** In the order they are asked in. */
  readonly mirrors: readonly HostEntry[];
  /** The registry itself; absent: it is reached by its name. */
  readonly server?: HostEntry;
}

const strings = z.union([z.string(), z.array(z.string())]);

const hostSchema = z.object({
  capabilities: z.optional(z.array(z.string())),
  ca: z.optional(strings),
  client: z.optional(z.union([z.string(), z.array(z.union([z.string(), z.array(z.string())]))])),
  header: z.optional(z.record(z.string(), strings)),
  override_path: z.optional(z.boolean()),
  skip_verify: z.optional(z.boolean()),
});

const fileSchema = z.extend(hostSchema, {
  server: z.optional(z.string()),
  host: z.optional(z.record(z.string(), hostSchema)),
});

/**
 * Read a file.
 *
 * @param file its path; files that it names are taken from its folder
 * @throws {EnrootError} code `bad-hosts-file`, naming file, and line or key, and no header's value
 */
export function parseHostsFile(text: string, file: string): HostsFile {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    const line = /line (\d+)/.exec(String(error))?.[1];
    throw bad(line === undefined ? file : `${file}:${line}`, "it is no TOML");
  }
  const parsed = z.safeParse(fileSchema, document);
  if (!parsed.success) throw bad(file, issueOf(parsed.error));
  const { server, host: hosts = {}, ...own } = parsed.data;
  const folder = file.slice(0, file.lastIndexOf("/"));
  return {
    mirrors: Object.entries(hosts).map(([address, host]) => entryOf(address, host, folder, file)),
    ...(server === undefined ? {} : { server: entryOf(server, own, folder, file) }),
  };
}

function entryOf(
  address: string,
  host: z.infer<typeof hostSchema>,
  folder: string,
  file: string,
): HostEntry {
  const url = URL.parse(/^[a-z]+:\/\//.test(address) ? address : `https://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") {
    throw bad(
      file,
      "a host is no address such as https://HOST:PORT (credentials have files of their own)",
    );
  }
  const given = url.pathname.replace(/\/+$/, "");
  const path = host.override_path === true || given.endsWith("/v2") ? given : `${given}/v2`;
  const within = (name: string): string => name.startsWith("/") ? name : `${folder}/${name}`;
  const client = clientOf(host.client, file)?.map(within);
  const { capabilities = ["resolve", "pull"], ca = [], header = {} } = host;
  const [certificate, key = certificate] = client ?? [];
  return {
    origin: url.origin,
    path,
    capabilities: (["resolve", "pull"] as const).filter((each) => capabilities.includes(each)),
    authorities: [ca].flat().map(within),
    ...(certificate === undefined || key === undefined ? {} : { client: [certificate, key] }),
    headers: Object.fromEntries(
      Object.entries(header).map(([name, value]) => [name, headerValue(value, name, file)]),
    ),
    skipsVerification: host.skip_verify ?? false,
  };
}

/** `"both"`, `["both"]`, `[["certificate", "key"]]`: of several the first. */
function clientOf(
  client: z.infer<typeof hostSchema>["client"],
  file: string,
): readonly string[] | undefined {
  const first = typeof client === "string" ? client : client?.[0];
  if (first === undefined) return undefined;
  const files = typeof first === "string" ? [first] : first;
  if (files.length < 1 || files.length > 2) throw bad(file, "'client' is no certificate and key");
  return files;
}

function headerValue(value: string | string[], name: string, file: string): string {
  const text = [value].flat().join(", ");
  const isHeader = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && /^[\x20-\x7e]*$/.test(text);
  if (!isHeader) throw bad(file, `'header.${name}' is no header`);
  return text;
}

function bad(place: string, why: string): EnrootError {
  return new EnrootError("bad-hosts-file", `${place}: ${why}`);
}
