/**
 * An OCI image layout folder, written by hand: what images for tests are put together in.
 *
 * Written from OCI image-spec 1.1 and not with the code under test, so that a mistake in that code
 * cannot hide itself. Test images may be as wrong as a test wants them.
 *
 * @module
 */

import { run } from "./command.ts";

/** How a layer's tar is stored. */
export type Compression = "none" | "gzip" | "zstd";

/** What a manifest says of a blob. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { os: string; architecture: string; variant?: string };
}

/** A layer that is in the layout. */
export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** The part of an image's config that its maker chooses. */
export interface ImageSettings {
  readonly architecture?: string;
  readonly variant?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

const mediaTypes: Record<Compression, string> = {
  none: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
};

/** This machine's architecture as images name it. */
export const ownArchitecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

/** A layout folder in the making. */
export class OciLayout {
  readonly path: string;
  readonly #manifests: (Descriptor & { annotations?: Record<string, string> })[] = [];

  private constructor(path: string) {
    this.path = path;
  }

  /** Make an empty layout. @param path a folder that does not exist */
  static async create(path: string): Promise<OciLayout> {
    await Deno.mkdir(`${path}/blobs/sha256`, { recursive: true });
    await Deno.writeTextFile(`${path}/oci-layout`, `{"imageLayoutVersion":"1.0.0"}`);
    return new OciLayout(path);
  }

  /** Store a tar as a layer; the file itself stays as it is. */
  async putLayer(tar: string, compression: Compression): Promise<StoredLayer> {
    const stored = `${this.path}/blobs/${crypto.randomUUID()}`;
    if (compression === "none") await Deno.copyFile(tar, stored);
    else {
      const compress = compression === "gzip" ? ["gzip", "--no-name", "-6"] : ["zstd", "-q", "-3"];
      await run(["sh", "-c", `exec "$@" < "$IN" > "$OUT"`, "sh", ...compress], {
        env: { IN: tar, OUT: stored },
      });
    }
    const digest = await sha256(stored);
    const { size } = await Deno.stat(stored);
    await Deno.rename(stored, this.blobPath(digest));
    return {
      descriptor: { mediaType: mediaTypes[compression], digest, size },
      diffId: await sha256(tar),
    };
  }

  /** Store a small blob. @param content bytes, or what becomes JSON */
  async putBlob(mediaType: string, content: Uint8Array | object): Promise<Descriptor> {
    const bytes = content instanceof Uint8Array
      ? new Uint8Array(content)
      : new TextEncoder().encode(JSON.stringify(content));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    await Deno.writeFile(this.blobPath(`sha256:${hash}`), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  }

  /** Store a config and a manifest. @returns the manifest's descriptor */
  async putImage(
    layers: readonly StoredLayer[],
    { architecture = ownArchitecture, variant, config = {} }: ImageSettings = {},
  ): Promise<Descriptor> {
    const platform = { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) };
    const stored = await this.putBlob("application/vnd.oci.image.config.v1+json", {
      created: "2020-09-13T12:26:40Z",
      ...platform,
      config,
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const manifest = await this.putBlob("application/vnd.oci.image.manifest.v1+json", {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: stored,
      layers: layers.map(({ descriptor }) => descriptor),
    });
    return { ...manifest, platform };
  }

  /** Store an index of several manifests. */
  putIndex(manifests: readonly Descriptor[]): Promise<Descriptor> {
    const mediaType = "application/vnd.oci.image.index.v1+json";
    return this.putBlob(mediaType, { schemaVersion: 2, mediaType, manifests });
  }

  /** Give a manifest or an index a name; `index.json` is written anew. */
  async tag(name: string, descriptor: Descriptor): Promise<void> {
    this.#manifests.push({
      ...descriptor,
      annotations: { "org.opencontainers.image.ref.name": name },
    });
    await Deno.writeTextFile(
      `${this.path}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: this.#manifests }),
    );
  }

  /** Where a blob is. */
  blobPath(digest: string): string {
    return `${this.path}/blobs/${digest.replace(":", "/")}`;
  }
}

/** Copy an image of a layout to a registry as it is, digests kept. @param image `HOST:PORT/NAME:TAG` */
export async function pushImage(layout: string, tag: string, image: string): Promise<void> {
  await run([
    ...["skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"],
    ...["--dest-tls-verify=false", `oci:${layout}:${tag}`, `docker://${image}`],
  ]);
}

async function sha256(path: string): Promise<string> {
  // Read from standard input: sha256sum marks names with odd characters.
  const line = await run(["sh", "-c", `exec sha256sum < "$IN"`], { env: { IN: path } });
  return `sha256:${line.slice(0, 64)}`;
}
