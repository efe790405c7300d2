/**
 * Containers on other hosts: `zfs://[USER@]HOST[:PORT]/NAME`.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";

/** A container on another host. */
export interface ZfsUri {
  readonly user: string | undefined;
  /** As ssh takes it: an alias of ssh_config, a name, an address. */
  readonly host: string;
  readonly port: number | undefined;
  /** Absent where it is to be called as it is here. */
  readonly name: ContainerName | undefined;
}

const scheme = "zfs://";

/** Whether a text is meant as a container on another host. */
export function isZfsUri(text: string): boolean {
  return text.startsWith(scheme);
}

/**
 * Parse such a URI. The name stands there as it is.
 *
 * @throws {EnrootError} code `bad-uri` or `bad-name`
 */
export function parseZfsUri(text: string): ZfsUri {
  const refuse = (why: string): never => {
    throw new EnrootError("bad-uri", `'${text}' ${why}: it must be zfs://[USER@]HOST[:PORT]/NAME`);
  };
  if (!isZfsUri(text)) refuse("is no zfs:// URI");
  const [, authority = "", name = ""] = /^([^/]*)(?:\/(.*))?$/s.exec(text.slice(scheme.length)) ??
    [];
  // What begins with a dash would be an option of ssh; '%' and the rest ssh expands or splits.
  const [, user, address, bracketed, digits] =
    /^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9_][A-Za-z0-9_.-]*|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?$/
      .exec(authority) ?? [];
  if (address === undefined) return refuse("names no host");
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65535)) refuse("names no port");
  return {
    user,
    host: bracketed ?? address,
    port,
    name: name === "" ? undefined : parseContainerName(name),
  };
}

/**
 * Parse the URI of a container that is there.
 *
 * @throws {EnrootError} as {@linkcode parseZfsUri}, also when it names none
 */
export function parseNamedZfsUri(text: string): ZfsUri & { readonly name: ContainerName } {
  const uri = parseZfsUri(text);
  const { name } = uri;
  if (name !== undefined) return { ...uri, name };
  throw new EnrootError("bad-uri", `'${text}' names no container: append /NAME`);
}

/** The host, as it is written in messages; the same for all its users. */
export function hostOf({ host, port }: ZfsUri): string {
  const shown = host.includes(":") ? `[${host}]` : host;
  return port === undefined ? shown : `${shown}:${port}`;
}
