/**
 * The bill of materials: what is in the packages that was made elsewhere, as CycloneDX 1.5
 * (https://cyclonedx.org/docs/1.5/json/).
 *
 * @module
 */

/** A package of npm, as `deno.lock` has it. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Of its archive, in hex. */
  readonly sha512: string;
}

/** What the bill is made of. */
export interface SbomOptions {
  readonly version: string;
  readonly architecture: string;
  /** Seconds since 1970. */
  readonly epoch: number;
  /** The runtime: the versions of Deno and of V8, and the sha256 of its program, in hex. */
  readonly runtime: { readonly deno: string; readonly v8: string; readonly sha256: string };
  /** The version of the C library in the helpers. */
  readonly musl: string;
  readonly packages: readonly NpmPackage[];
}

/** The npm packages of a `deno.lock`. @throws {Error} when one of them has no sha512 */
export function lockedPackages(lock: string): NpmPackage[] {
  const { npm = {} }: { npm?: Record<string, { integrity?: string }> } = JSON.parse(lock);
  return Object.entries(npm).map(([key, { integrity = "" }]) => {
    // What follows an underscore are the peers that it was installed with.
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    const [, base64] = /^sha512-([A-Za-z0-9+/=]+)$/.exec(integrity) ?? [];
    if (name === undefined || version === undefined || base64 === undefined) {
      throw new Error(`deno.lock: '${key}' has no sha512`);
    }
    return { name, version, sha512: Uint8Array.fromBase64(base64).toHex() };
  });
}

/** The bill as text; the same options make the same text. */
export async function describeSbom(options: SbomOptions): Promise<string> {
  const { version, architecture, epoch, runtime, musl, packages } = options;
  const license = (id: string): unknown => ({ licenses: [{ license: { id } }] });
  const component = (name: string, its: string, more: object): object => ({
    type: "library",
    "bom-ref": `${name}@${its}`,
    name,
    version: its,
    ...more,
  });
  const enroot = component("enroot", version, {
    type: "application",
    ...license("Apache-2.0") as object,
    properties: [{ name: "architecture", value: architecture }],
  });
  const components = [
    component("deno", runtime.deno, {
      type: "application",
      hashes: [{ alg: "SHA-256", content: runtime.sha256 }],
      ...license("MIT") as object,
      purl: `pkg:github/denoland/deno@v${runtime.deno}`,
    }),
    component("v8", runtime.v8, { ...license("BSD-3-Clause") as object }),
    component("musl", musl, {
      ...license("MIT") as object,
      purl: `pkg:deb/debian/musl@${encodeURIComponent(musl)}`,
    }),
    ...packages.map(({ name, version: its, sha512 }) =>
      component(name, its, {
        hashes: [{ alg: "SHA-512", content: sha512 }],
        ...license("MIT") as object,
        purl: `pkg:npm/${encodeURIComponent(name).replaceAll("%2F", "/")}@${its}`,
      })
    ),
  ];
  const refs = components.map((each) => (each as { "bom-ref": string })["bom-ref"]);
  const bill = {
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString().replace(".000", ""),
      component: enroot,
    },
    components,
    dependencies: [
      { ref: `enroot@${version}`, dependsOn: refs.filter((ref) => !ref.startsWith("v8@")) },
      { ref: `deno@${runtime.deno}`, dependsOn: [`v8@${runtime.v8}`] },
    ],
  };
  const head = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${await uuidOf(JSON.stringify(bill))}`,
    version: 1,
  };
  return `${JSON.stringify({ ...head, ...bill }, undefined, 2)}\n`;
}

/** A UUID of version 8 (RFC 9562) that follows from a text. */
async function uuidOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const bytes = new Uint8Array(digest).subarray(0, 16);
  bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x80;
  bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80;
  return bytes.toHex().replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
