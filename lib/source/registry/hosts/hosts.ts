/**
 * The hosts that are asked for a registry's images: its mirrors, then itself.
 *
 * @module
 */

import { EnrootError } from "../../../errors.ts";
import { dockerHub } from "../../../oci/reference.ts";
import type { SourceOptions } from "../../options.ts";
import {
  type Certificates,
  readAuthorities,
  readCertificates,
  readClient,
  readPem,
} from "./certificates.ts";
import { type Capability, type HostEntry, parseHostsFile } from "./hosts_toml.ts";

/** A host that is asked. */
export interface RegistryHost {
  /** `HOST` or `HOST:PORT`. */
  readonly host: string;
  /** The origin; absent: TLS, and where that is allowed without, if it speaks none. */
  readonly origin?: string;
  /** What stands in front of `/REPOSITORY/…`. */
  readonly path: string;
  readonly capabilities: readonly Capability[];
  readonly headers: Readonly<Record<string, string>>;
  /** What it is a mirror of, as mirrors are told; absent for the registry itself. */
  readonly mirrorOf?: string;
}

/** How a registry is reached. */
export interface Hosts {
  /** In the order they are asked in; the last one is the registry itself. */
  readonly list: readonly RegistryHost[];
  /** The certificates of a host, whoever led there. */
  certificatesOf(host: string): Certificates | undefined;
}

/**
 * How a registry is reached, by the folder that is called like it. Of several places the first that has
 * such a folder counts, and it alone; mirrors may also be in one that is called `_default`.
 *
 * @param registry `HOST` or `HOST:PORT`
 * @throws {EnrootError} code `bad-hosts-file` or `bad-certificate`
 */
export function findHosts(
  registry: string,
  { registries, allowHttp, log }: Pick<SourceOptions, "registries" | "allowHttp" | "log">,
): Hosts {
  const places = registries?.certsFolders ?? [];
  const folder = folderOf(registry, places) ?? folderOf("_default", places);
  const file = `${folder}/hosts.toml`;
  const text = folder === undefined ? undefined : readIfThere(file);
  const { mirrors, server } = text === undefined
    ? { mirrors: [], server: undefined }
    : parseHostsFile(text, file);

  const own = new Map<string, HostEntry>();
  for (const entry of [...mirrors, ...(server === undefined ? [] : [server])]) {
    own.set(new URL(entry.origin).host, entry);
    if (entry.skipsVerification) {
      log("warning", `${file}: skip_verify is ignored: name the host's authority with 'ca'`);
    }
  }
  const name = registry === dockerHub ? "docker.io" : registry;
  const usable = mirrors.filter(({ origin }) => {
    const isAllowed = allowHttp || origin.startsWith("https:");
    if (!isAllowed) {
      log("warning", `${file}: ${origin} is not asked: ENROOT_ALLOW_HTTP=y allows it`);
    }
    return isAllowed;
  });
  if (server !== undefined && !allowHttp && server.origin.startsWith("http:")) {
    throw new EnrootError(
      "insecure",
      `${file}: the server ${server.origin} is without TLS: ENROOT_ALLOW_HTTP=y allows it`,
    );
  }
  return {
    list: [
      ...usable.map((entry) => ({ ...hostOf(entry), mirrorOf: name })),
      server === undefined
        ? { host: registry, path: "/v2", capabilities: ["resolve", "pull"], headers: {} }
        : { ...hostOf(server), capabilities: ["resolve", "pull"] },
    ],
    certificatesOf(host) {
      const found = certificatesFor(host);
      const folders = registries?.authorityFolders ?? [];
      const common = readAuthorities(folders);
      if (common.length === 0) return found;
      const { authorities = [], ...rest } = found ?? { place: folders.join(":") };
      return { ...rest, authorities: [...authorities, ...common] };
    },
  };

  function certificatesFor(host: string): Certificates | undefined {
    const entry = own.get(host);
    if (entry !== undefined && (entry.authorities.length > 0 || entry.client !== undefined)) {
      return certificatesIn(entry, file);
    }
    // Addresses leave out the port that goes without saying; the folder may name it.
    const found = folderOf(host, places) ??
      (/:\d+$/.test(host) ? undefined : folderOf(`${host}:443`, places));
    return found === undefined ? undefined : readCertificates(found);
  }
}

function hostOf({ origin, path, capabilities, headers }: HostEntry): RegistryHost {
  return { host: new URL(origin).host, origin, path, capabilities, headers };
}

function certificatesIn({ authorities, client }: HostEntry, place: string): Certificates {
  return {
    authorities: authorities.map(readPem),
    ...(client === undefined ? {} : { client: readClient(...client) }),
    place,
  };
}

/** The folder of a host; Docker Hub's may have any of its names. */
function folderOf(host: string, places: readonly string[]): string | undefined {
  const names = host === dockerHub ? [dockerHub, "docker.io", "index.docker.io"] : [host];
  // containerd's other way to write a port.
  const [, bare, port] = /^(.*):(\d+)$/.exec(host) ?? [];
  if (port !== undefined) names.push(`${bare}_${port}_`);
  return places.flatMap((place) => names.map((name) => `${place}/${name}`)).find(isReadable);
}

function isReadable(folder: string): boolean {
  try {
    Deno.readDirSync(folder);
    return true;
  } catch {
    // Not there, or another user's: Docker's may be readable to root only.
    return false;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new EnrootError("bad-hosts-file", `cannot read ${file}`, { cause: error });
  }
}
