/**
 * Images that a program in the place of an engine saves, opened as those of `dockerd://` and `podman://`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Image, OpenedLayer } from "../../lib/source/image.ts";
import type { SourceOptions } from "../../lib/source/options.ts";
import { callerEnvironment } from "../../lib/process/caller.ts";
import { openImage } from "../../lib/source/source.ts";
import { parseImageUri } from "../../lib/source/uri.ts";
import { inflate } from "../../lib/streams/inflate.ts";
import {
  archiveBytes,
  type EngineArchive,
  type EngineImage,
  hexOf,
  inspectOf,
  makeImage,
  makeLayer,
  podman,
} from "./engine_archive.ts";
import { FakeEngine } from "./fake_engine.ts";
import { ownArchitecture } from "./oci_layout.ts";

/**
 * Programs with the names of the engines, found by this process: its environment is read once, so they are the
 * same for all tests.
 */
export const fake = await FakeEngine.make();
const path = Deno.env.get("PATH") ?? "";
Deno.env.set("PATH", `${fake.bin}:${path}`);
callerEnvironment();
Deno.env.set("PATH", path);
globalThis.addEventListener("unload", () => Deno.removeSync(fake.bin, { recursive: true }));

/** An architecture that is not this machine's. */
export const other = ownArchitecture === "arm64" ? "amd64" : "arm64";
/** Larger than what a pipe holds, so that the stream does stand still. */
export const large = 3 << 20;
/** The layers of {@linkcode image}, lowest first. */
export const layers = [
  makeLayer("base", large),
  makeLayer("middle", 300_000),
  makeLayer("top", 200_000),
];
/** The image that is saved, where a test has no other. */
export const image = makeImage(layers);
/** An image that has one layer twice. */
export const twice = makeImage([makeLayer("a", 90_000), makeLayer("b"), makeLayer("a", 90_000)]);

/** One image opened from an archive, with what it logged. */
export async function withImage(
  { archive = podman(image), inspect, then, scheme = "dockerd", of = image, options = {} }: {
    readonly archive?: EngineArchive;
    readonly inspect?: Record<string, unknown>;
    readonly then?: string;
    readonly scheme?: string;
    readonly of?: EngineImage;
    readonly options?: Partial<SourceOptions>;
  },
  use: (image: Image, log: string[]) => Promise<void>,
): Promise<{ log: string[]; peak: number }> {
  const bytes = archiveBytes(archive);
  await fake.answer(inspectOf(of, archive.id, inspect), {
    bytes,
    ...(then === undefined ? {} : { then }),
  });
  const tempPath = await Deno.makeTempDir({ prefix: "zenroot-daemon-" });
  const descriptors = countDescriptors();
  const log: string[] = [];
  try {
    const uri = parseImageUri(`${scheme}://x:1`);
    {
      await using opened = await openImage(uri, { ...sourceOptions(tempPath, log), ...options });
      await use(opened, log);
    }
    assertEquals([...Deno.readDirSync(tempPath)], []);
    // The runtime closes a stream that it was reading a moment later.
    for (let tries = 0; tries < 50 && countDescriptors() !== descriptors; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(countDescriptors(), descriptors, "descriptors were left open");
  } finally {
    await Deno.remove(tempPath, { recursive: true });
  }
  return { log, peak: Number(/at most (\d+) bytes/.exec(log.join("\n"))?.[1] ?? NaN) };
}

/** How an image is opened; what it logs is added to the list. */
export function sourceOptions(tempPath: string, log: string[]): SourceOptions {
  return {
    architecture: ownArchitecture,
    cachePath: "/nonexistent",
    tempPath,
    allowHttp: false,
    connectTimeoutSeconds: 1,
    transferTimeoutSeconds: 0,
    retries: 0,
    maxConnections: 1,
    signal: new AbortController().signal,
    log: (_, message) => void log.push(message),
  };
}

function countDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Open all layers at once and read them in order, as a build does. */
export async function readAll(opened: Image, skipped: readonly number[] = []): Promise<string[]> {
  for (const index of skipped) opened.layers[index]?.skip?.();
  const { signal } = new AbortController();
  const wanted = opened.layers.filter((_, index) => !skipped.includes(index));
  const files = wanted.map((layer) => layer.open({ signal }));
  for (const file of files) file.catch(() => {});
  const hashes: string[] = [];
  for (const file of files) {
    const layer = await file;
    hashes.push(`sha256:${hexOf(await readTar(layer))}`);
    layer.release?.();
  }
  return hashes;
}

/** The tar of an opened layer, whole. */
export async function readTar(layer: OpenedLayer): Promise<Uint8Array> {
  const parts: number[] = [];
  await inflate(
    readFile(layer),
    layer.compression,
    (bytes) => bytes.forEach((byte) => parts.push(byte)),
    "x",
  );
  return new Uint8Array(parts);
}

async function* readFile(
  { path, offset, size }: OpenedLayer,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
  for (let left = size; left > 0;) {
    const piece = new Uint8Array(Math.min(left, 65536));
    const length = await file.read(piece);
    if (length === null) throw new Error("the bytes ended too early");
    left -= length;
    yield piece.subarray(0, length);
  }
}
