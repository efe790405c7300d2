/**
 * Certificates that are for one registry.
 *
 * Sources: docker's "Use certificates for repository client verification", containers-certs.d(5).
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../../errors.ts";

/** What a host is known by, and what we are known to it by, in PEM. */
export interface Certificates {
  /** Authorities that are trusted for it, beside the system's. */
  readonly authorities: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
  /** Where they come from, for messages. */
  readonly place: string;
}

/**
 * The certificates in a registry's folder: `*.crt` of authorities, and the first `*.cert` with the `*.key`
 * of its name.
 *
 * @returns `undefined` when there are none
 * @throws {EnrootError} code `bad-certificate` for one that cannot be read, or a key without a certificate
 */
export function readCertificates(folder: string): Certificates | undefined {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const authorities = names.filter((name) => name.endsWith(".crt"))
    .map((name) => readPem(`${folder}/${name}`));
  const stems = names.filter((name) => name.endsWith(".cert")).map((name) => name.slice(0, -5));
  const single = names.find((name) => name.endsWith(".key") && !stems.includes(name.slice(0, -4)));
  if (single !== undefined) throw bad(`${folder}/${single}`, "there is no *.cert of its name");
  const [stem] = stems;
  if (authorities.length === 0 && stem === undefined) return undefined;
  return {
    authorities,
    ...(stem === undefined
      ? {}
      : { client: readClient(`${folder}/${stem}.cert`, `${folder}/${stem}.key`) }),
    place: folder,
  };
}

/**
 * The authorities in folders that are made as OpenSSL wants them, each named by its hash. What cannot be
 * read is passed over, as OpenSSL does. Source: openssl-rehash(1).
 */
export function readAuthorities(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    let names: string[];
    try {
      names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    } catch {
      return [];
    }
    return names.filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name)).flatMap((name) => {
      try {
        return [readPem(`${folder}/${name}`)];
      } catch {
        return [];
      }
    });
  });
}

/** A client certificate and its key. @param key absent: both are in one file */
export function readClient(
  certificate: string,
  key = certificate,
): { certificate: string; key: string } {
  return { certificate: readPem(certificate), key: readPem(key) };
}

/** A file in PEM. @throws {EnrootError} code `bad-certificate` */
export function readPem(file: string): string {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    throw bad(file, reasonOf(error), error);
  }
  // The runtime takes anything for an authority, and then trusts nobody.
  if (/^-----BEGIN [A-Z ]+-----$/m.test(text)) return text;
  throw bad(file, "it is no PEM file");
}

function bad(file: string, why: string, cause?: unknown): EnrootError {
  return new EnrootError("bad-certificate", `certificate ${file}: ${why}`, { cause });
}
