import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { digestOf } from "../../oci/digest.ts";
import { imageManifestTypes, indexTypes } from "../../oci/media_type.ts";
import { openImage } from "../source.ts";
import { parseImageUri } from "../uri.ts";

const [ociImage = "", dockerImage = ""] = imageManifestTypes;
const [ociIndex = "", dockerList = ""] = indexTypes;
const gzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip";

/** A registry that has what a test puts into it; stopped when disposed of. */
class FakeRegistry implements AsyncDisposable {
  readonly #bytes = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #types = new Map<string, string>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly asked: string[] = [];
  /** What it states of all manifests in place of their digest. */
  stated: string | undefined;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      const name = new URL(url).pathname.replace(/^.*\//, "");
      this.asked.push(name);
      const bytes = this.#bytes.get(name);
      if (bytes === undefined) return new Response(null, { status: 404 });
      const type = this.#types.get(name) ?? "application/octet-stream";
      const stated = this.stated === undefined ? {} : { "docker-content-digest": this.stated };
      return new Response(bytes, { headers: { "content-type": type, ...stated } });
    });
  }

  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Put a document in, by its digest and under a tag. @returns a descriptor */
  async put(
    document: unknown,
    mediaType = "application/vnd.oci.image.config.v1+json",
    tag = "",
  ): Promise<{ mediaType: string; digest: string; size: number }> {
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    const digest = await digestOf(bytes);
    for (const name of [digest, tag]) {
      this.#bytes.set(name, bytes);
      this.#types.set(name, mediaType);
    }
    return { mediaType, digest, size: bytes.length };
  }

  /** Put an image in. @returns its descriptor */
  async putImage(
    { layerTypes = [gzipLayer], type = ociImage, architecture = "amd64", tag = "" } = {},
  ): ReturnType<FakeRegistry["put"]> {
    const diffId = `sha256:${"1".repeat(64)}`;
    const rootfs = { type: "layers", diff_ids: layerTypes.map(() => diffId) };
    const config = await this.put({ os: "linux", architecture, rootfs });
    const layers = layerTypes.map((mediaType) => ({ mediaType, digest: diffId, size: 1 }));
    return await this.put({ schemaVersion: 2, mediaType: type, config, layers }, type, tag);
  }

  putIndex(manifests: unknown[], type = ociIndex, tag = ""): ReturnType<FakeRegistry["put"]> {
    return this.put({ schemaVersion: 2, mediaType: type, manifests }, type, tag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Open `team/app` of a registry, for amd64. @returns its manifest's digest */
async function open({ host }: FakeRegistry, name = "1"): Promise<string | undefined> {
  const cachePath = await Deno.makeTempDir({ prefix: "zenroot-manifests-" });
  try {
    const { signal } = new AbortController();
    const separator = name.startsWith("sha256:") ? "@" : ":";
    await using image = await openImage(
      parseImageUri(`docker://${host}/team/app${separator}${name}`),
      {
        ...{ architecture: "amd64", cachePath, tempPath: cachePath, allowHttp: true, retries: 0 },
        ...{ connectTimeoutSeconds: 5, transferTimeoutSeconds: 0, maxConnections: 1, signal },
        log: () => {},
      },
    );
    return image.manifestDigest;
  } finally {
    await Deno.remove(cachePath, { recursive: true });
  }
}

async function refusalOf(registry: FakeRegistry, name?: string): Promise<EnrootError> {
  return await assertRejects(() => open(registry, name), EnrootError);
}

const platform = (architecture: string, variant?: string): { platform: unknown } => ({
  platform: { os: "linux", architecture, ...(variant === undefined ? {} : { variant }) },
});

Deno.test("Docker's list and OCI's index lead to the image of the architecture, each kind to each", async () => {
  for (const list of [ociIndex, dockerList]) {
    for (const type of [ociImage, dockerImage]) {
      await using registry = new FakeRegistry();
      const ours = await registry.putImage({ type });
      const other = await registry.putImage({ type, architecture: "arm64" });
      await registry.putIndex(
        [{ ...other, ...platform("arm64", "v8") }, { ...ours, ...platform("amd64") }],
        ...[list, "1"] as const,
      );
      assertEquals(await open(registry), ours.digest);
    }
  }
});

Deno.test("an index by its digest leads to the same image", async () => {
  await using registry = new FakeRegistry();
  const ours = await registry.putImage();
  const index = await registry.putIndex([{ ...ours, ...platform("amd64") }]);
  assertEquals(await open(registry, index.digest), ours.digest);
});

Deno.test("indexes within indexes have an end", async () => {
  await using registry = new FakeRegistry();
  let inner = await registry.putImage();
  for (const _ of Array(3)) inner = await registry.putIndex([inner]);
  await registry.putIndex([inner], ociIndex, "deep");
  assertMatch((await refusalOf(registry, "deep")).message, /nested without end/);
  assert(registry.asked.length <= 5, registry.asked.join());
});

Deno.test("what is there for other architectures is listed, without attestations", async () => {
  await using registry = new FakeRegistry();
  const entry = await registry.putImage({ architecture: "arm64" });
  const attestation = { ...entry, platform: { os: "unknown", architecture: "unknown" } };
  const list = [attestation, { ...entry, ...platform("arm64", "v8") }];
  await registry.putIndex(list, ociIndex, "1");
  const error = await refusalOf(registry);
  assertEquals(error.code, "no-platform");
  assertMatch(error.message, /no image for linux\/amd64; there is: linux\/arm64\/v8 \(--arch/);
});

Deno.test("a manifest that is not what the registry states it to be is refused", async () => {
  await using registry = new FakeRegistry();
  await registry.putImage({ tag: "1" });
  registry.stated = `sha256:${"0".repeat(64)}`;
  assertEquals((await refusalOf(registry)).code, "digest-mismatch");
});

Deno.test("schema 1 is named, though its stated digest is never that of its bytes", async () => {
  await using registry = new FakeRegistry();
  const type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
  await registry.put({ schemaVersion: 1, fsLayers: [], signatures: [] }, type, "1");
  registry.stated = `sha256:${"0".repeat(64)}`;
  assertEquals((await refusalOf(registry)).code, "schema-1");
});

const layers: [mediaType: string, code: string][] = [
  ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign-layer"],
  ["application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign-layer"],
  ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "unknown-layer"],
  ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "unknown-layer"],
];
for (const [mediaType, code] of layers) {
  Deno.test(`a layer of type ${mediaType} is refused before anything else is fetched`, async () => {
    await using registry = new FakeRegistry();
    await registry.putImage({ layerTypes: [gzipLayer, mediaType], tag: "1" });
    assertEquals((await refusalOf(registry)).code, code);
    assertEquals(registry.asked, ["1"]);
  });
}
