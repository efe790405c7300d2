/**
 * Certificates of an authority of our own.
 *
 * @module
 */

import { run } from "./command.ts";
import type { Tls } from "./registry.ts";

/** Files of certificates and keys, in PEM. */
export interface TestCertificates extends Tls {
  /** The authority, which nobody trusts. */
  readonly authority: string;
  /** A client's, by the same authority. */
  readonly client: Tls;
}

/** Make an authority, a certificate for 127.0.0.1 and one for a client. @param folder for the files */
export async function makeCertificates(folder: string): Promise<TestCertificates> {
  const path = (name: string): string => `${folder}/${name}`;
  await run([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-keyout", path("ca.key"), "-out", path("ca.crt"), "-subj", "/CN=test authority"],
  ]);
  await Deno.writeTextFile(path("names"), "subjectAltName=IP:127.0.0.1\n");
  const make = async (name: string, subject: string): Promise<Tls> => {
    await run([
      ...["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", path(`${name}.key`)],
      ...["-out", path(`${name}.csr`), "-subj", `/CN=${subject}`],
    ]);
    await run([
      ...["openssl", "x509", "-req", "-in", path(`${name}.csr`), "-CA", path("ca.crt")],
      ...["-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", path("names")],
      ...["-out", path(`${name}.crt`)],
    ]);
    return { certificate: path(`${name}.crt`), key: path(`${name}.key`) };
  };
  const server = await make("server", "127.0.0.1");
  return { ...server, authority: path("ca.crt"), client: await make("client", "a client") };
}
