/**
 * What engines write when they save an image, put together by hand from small layers: every shape, in
 * the order that the engine gives it, or in another.
 *
 * Written from archives that Docker 20.10, 26.1 (both stores) and podman 4.3 wrote, and from the
 * sources of their formats; not with the code under test.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { ownArchitecture } from "./oci_layout.ts";
import { rawArchive, rawMember } from "./raw_tar.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** An image: its layers' tars, lowest first, and its config. */
export interface EngineImage {
  readonly layers: readonly Bytes[];
  readonly diffIds: readonly string[];
  readonly architecture: string;
  readonly config: Bytes;
  /** `sha256:…` of the config. */
  readonly id: string;
}

/** A member of an archive: a file, or a link when it has a target. */
export interface ArchiveMember {
  readonly name: string;
  readonly content: Bytes;
  readonly target?: string;
}

/** A save as an engine writes it. */
export interface EngineArchive {
  /** What the engine calls the image. */
  readonly id: string;
  readonly members: readonly ArchiveMember[];
}

/** A layer of one file, which tells the layer by its content; it compresses to about a half. */
export function makeLayer(name: string, size = 1000): Bytes {
  const content = new Uint8Array(size);
  // The same bytes every time, and no two layers alike.
  for (let at = 0; at < size; at += 64) {
    content.set(createHash("sha256").update(`${name} ${at}`).digest().subarray(0, size - at), at);
  }
  return rawArchive(rawMember({ name: `${name}.txt`, content }));
}

/** An image of these layers. */
export function makeImage(
  layers: readonly Bytes[],
  architecture = ownArchitecture,
): EngineImage {
  const diffIds = layers.map((layer) => `sha256:${hexOf(layer)}`);
  const config = json({
    architecture,
    os: "linux",
    created: "2020-09-13T12:26:40Z",
    config: { Env: [`ARCH=${architecture}`], Cmd: ["x"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  return { layers, diffIds, architecture, config, id: `sha256:${hexOf(config)}` };
}

/** Docker up to 24. @param ids of the layers, 64 hex digits each: the archive is sorted by them */
export function docker20(image: EngineImage, ids: readonly string[]): EngineArchive {
  const first = new Map<string, string>();
  const folders = image.layers.flatMap((layer, index): ArchiveMember[] => {
    const id = ids[index] ?? "";
    const parent = ids[index - 1];
    const diffId = image.diffIds[index] ?? "";
    const same = first.get(diffId);
    first.set(diffId, same ?? id);
    const target = same === undefined ? {} : { target: `../${same}/layer.tar` };
    return [
      { name: `${id}/VERSION`, content: text("1.0") },
      { name: `${id}/json`, content: json({ id, parent, created: "2020-09-13T12:26:40Z" }) },
      { name: `${id}/layer.tar`, content: same === undefined ? layer : text(""), ...target },
    ];
  });
  return {
    id: image.id,
    members: sorted([
      ...folders,
      { name: `${hexPart(image.id)}.json`, content: image.config },
      {
        name: "manifest.json",
        content: json([{
          Config: `${hexPart(image.id)}.json`,
          RepoTags: ["x:1"],
          Layers: ids.map((id) => `${id}/layer.tar`),
        }]),
      },
      { name: "repositories", content: json({ x: { "1": ids.at(-1) } }) },
    ]),
  };
}

/** Docker from 25, without containerd's store: plain blobs. */
export function docker25(image: EngineImage): EngineArchive {
  const manifest = manifestOf(image, image.layers, "");
  return {
    id: image.id,
    members: sorted([
      ...[...image.layers, image.config, manifest].map(blob),
      ...image.diffIds.map((id) => blob(json({ id: hexPart(id), os: "linux" }))),
      { name: "index.json", content: json({ schemaVersion: 2, manifests: [entry(manifest)] }) },
      { name: "manifest.json", content: listOf(image, image.layers) },
      { name: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) },
      { name: "repositories", content: json({ x: { "1": hexPart(image.id) } }) },
    ]),
  };
}

/**
 * Docker with containerd's store: compressed blobs of all platforms, an attestation beside each, and
 * an index that the image is called by.
 */
export function dockerContainerd(images: readonly EngineImage[]): EngineArchive {
  const blobs: Bytes[] = [];
  const entries = images.flatMap((image) => {
    const layers = image.layers.map(gzip);
    const manifest = manifestOf(image, layers, "+gzip");
    const statement = json({ _type: "https://in-toto.io/Statement/v0.1", subject: [image.id] });
    const none = json({
      architecture: "unknown",
      os: "unknown",
      rootfs: { type: "layers", diff_ids: [`sha256:${hexOf(statement)}`] },
    });
    const attestation = json({
      schemaVersion: 2,
      config: { ...entry(none), mediaType: "application/vnd.oci.image.config.v1+json" },
      layers: [{ ...entry(statement), mediaType: "application/vnd.in-toto+json" }],
    });
    blobs.push(...layers, image.config, manifest, statement, none, attestation);
    return [
      { ...entry(manifest), platform: { os: "linux", architecture: image.architecture } },
      {
        ...entry(attestation),
        platform: { os: "unknown", architecture: "unknown" },
        annotations: { "vnd.docker.reference.type": "attestation-manifest" },
      },
    ];
  });
  const index = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: entries,
  });
  const [own] = images;
  if (own === undefined) throw new Error("no image");
  return {
    id: `sha256:${hexOf(index)}`,
    members: sorted([
      ...[...blobs, index].map(blob),
      {
        name: "index.json",
        content: json({
          schemaVersion: 2,
          manifests: [{ ...entry(index), mediaType: "application/vnd.oci.image.index.v1+json" }],
        }),
      },
      { name: "manifest.json", content: listOf(own, own.layers.map(gzip)) },
      { name: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) },
    ]),
  };
}

/** podman: layers in order, each once, then the config, then links. */
export function podman(image: EngineImage): EngineArchive {
  const once = [...new Set(image.diffIds)];
  const layers = once.map((diffId) => ({
    name: `${hexPart(diffId)}.tar`,
    content: image.layers[image.diffIds.indexOf(diffId)] ?? text(""),
  }));
  const links = image.diffIds.flatMap((diffId, index): ArchiveMember[] => {
    const id = hexOf(text(`podman ${index}`));
    return [
      { name: `${id}/layer.tar`, content: text(""), target: `../${hexPart(diffId)}.tar` },
      { name: `${id}/VERSION`, content: text("1.0") },
      { name: `${id}/json`, content: json({ id }) },
    ];
  });
  const config = { name: `${hexPart(image.id)}.json`, content: image.config };
  const list = image.diffIds.map((diffId) => `${hexPart(diffId)}.tar`);
  return {
    id: image.id,
    members: [
      ...layers,
      config,
      ...links,
      {
        name: "manifest.json",
        content: json([{ Config: config.name, RepoTags: ["x:1"], Layers: list }]),
      },
      { name: "repositories", content: json({}) },
    ],
  };
}

/** `podman save --format oci-archive`: compressed blobs of one platform. */
export function podmanOci(image: EngineImage): EngineArchive {
  const layers = image.layers.map(gzip);
  const manifest = manifestOf(image, layers, "+gzip");
  return {
    id: image.id,
    members: sorted([
      ...[...layers, image.config, manifest].map(blob),
      { name: "index.json", content: json({ schemaVersion: 2, manifests: [entry(manifest)] }) },
      { name: "oci-layout", content: json({ imageLayoutVersion: "1.0.0" }) },
    ]),
  };
}

/** The archive's bytes. */
export function archiveBytes({ members }: Pick<EngineArchive, "members">): Bytes {
  return rawArchive(
    ...members.map(({ name, content, target }) =>
      target === undefined
        ? rawMember({ name, content })
        : rawMember({ name, type: "2", linkname: target })
    ),
  );
}

/** What `image inspect` says of an image; some keys of many. */
export function inspectOf(
  image: EngineImage,
  id: string,
  more: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify([{
    Id: id,
    RepoTags: ["x:1"],
    RepoDigests: [],
    Architecture: image.architecture,
    Os: "linux",
    RootFS: { Type: "layers", Layers: image.diffIds },
    ...more,
  }]);
}

/** A member for a blob, by its digest. */
export function blob(content: Bytes): ArchiveMember {
  return { name: `blobs/sha256/${hexOf(content)}`, content };
}

/** The hex of the sha256 of bytes. */
export function hexOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Bytes as gzip, the same every time. */
export function gzip(bytes: Uint8Array): Bytes {
  return new Uint8Array(gzipSync(bytes));
}

function manifestOf(image: EngineImage, layers: readonly Bytes[], suffix: string): Bytes {
  return json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { ...entry(image.config), mediaType: "application/vnd.oci.image.config.v1+json" },
    layers: layers.map((layer) => ({
      ...entry(layer),
      mediaType: `application/vnd.oci.image.layer.v1.tar${suffix}`,
    })),
  });
}

function listOf(image: EngineImage, layers: readonly Bytes[]): Bytes {
  return json([{
    Config: blob(image.config).name,
    RepoTags: ["x:1"],
    Layers: layers.map((layer) => blob(layer).name),
  }]);
}

function entry(bytes: Bytes): { mediaType: string; digest: string; size: number } {
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  return { mediaType, digest: `sha256:${hexOf(bytes)}`, size: bytes.length };
}

/** In the order of names, each name once, as a folder has them. */
function sorted(members: readonly ArchiveMember[]): ArchiveMember[] {
  const byName = new Map(members.map((member) => [member.name, member]));
  return [...byName.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

function hexPart(digest: string): string {
  return digest.replace("sha256:", "");
}

function json(value: unknown): Bytes {
  return text(JSON.stringify(value));
}

function text(value: string): Bytes {
  return new TextEncoder().encode(value);
}
