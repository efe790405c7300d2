/**
 * Images in the archives that `docker save` and `podman save` write.
 *
 * Source: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format": the
 * file `manifest.json` names the config and the layers of each image.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../errors.ts";
import { digestOf } from "../oci/digest.ts";
import { parseImageConfig } from "../oci/image_config.ts";
import { issueOf, parseJson } from "../oci/manifest.ts";
import { sniffCompression } from "../streams/inflate.ts";
import type { Image, Layer, LayerFile } from "./image.ts";
import { type LayoutFiles, readDocument } from "./layout.ts";
import { checkPlatform } from "./open_manifest.ts";

const schema = z.array(z.object({
  Config: z.string(),
  RepoTags: z.optional(z.nullable(z.array(z.string()))),
  Layers: z.array(z.string()),
}));

type Entry = z.infer<typeof schema>[number];

/**
 * An image of an archive.
 *
 * @param tag which one, as `IMAGE:TAG` or `TAG`; it may be left out when there is one only
 * @param uri what it is called in messages
 * @throws {EnrootError} when there is no such image, or the archive is not what it should be
 */
export async function openDockerArchive(
  files: LayoutFiles,
  tag: string | undefined,
  architecture: string,
  uri: string,
): Promise<Image> {
  const manifest = await files.find("manifest.json");
  if (manifest === undefined) {
    throw new EnrootError("bad-archive", `${uri} is no docker archive: it has no manifest.json`);
  }
  const what = `manifest.json of ${uri}`;
  const parsed = z.safeParse(
    schema,
    parseJson(await readDocument(manifest, what), what, "bad-manifest"),
  );
  if (!parsed.success) {
    throw new EnrootError("bad-manifest", `${what} is malformed: ${issueOf(parsed.error)}`);
  }
  const entry = choose(parsed.data, tag, uri);
  const configFile = await member(files, entry.Config, uri);
  const configBytes = await readDocument(configFile, `the config of ${uri}`);
  const config = parseImageConfig(configBytes, uri);
  checkPlatform(config, architecture, uri);
  if (config.diffIds.length !== entry.Layers.length) {
    throw new EnrootError(
      "bad-manifest",
      `${uri}: its manifest.json lists ${entry.Layers.length} layers, its config ` +
        `${config.diffIds.length}`,
    );
  }
  const layers = await Promise.all(config.diffIds.map(async (diffId, index): Promise<Layer> => {
    const file = await member(files, entry.Layers[index] ?? "", uri);
    const compression = sniffCompression(await firstBytes(file));
    return {
      diffId,
      size: file.size,
      open: () => Promise.resolve({ ...file, compression }),
    };
  }));
  return {
    uri,
    imageId: await digestOf(configBytes),
    architecture: config.architecture,
    layers,
    config: () => Promise.resolve(config),
    [Symbol.asyncDispose]: async () => await files[Symbol.asyncDispose](),
  };
}

function choose(entries: readonly Entry[], tag: string | undefined, uri: string): Entry {
  const tags = entries.flatMap(({ RepoTags }) => RepoTags ?? []);
  const chosen = tag === undefined
    ? entries.length === 1 ? entries[0] : undefined
    : entries.find(({ RepoTags }) => RepoTags?.some((name) => isNamed(name, tag)));
  if (chosen !== undefined) return chosen;
  throw new EnrootError(
    "no-tag",
    tag === undefined
      ? `${uri} holds ${entries.length} images, name one by its tag: ${tags.join(", ")}`
      : `${uri} holds no image '${tag}'; there is: ${tags.join(", ") || "one without a tag"}`,
  );
}

/** Whether a name such as `docker.io/library/app:v1` is what was asked for. */
function isNamed(name: string, asked: string): boolean {
  return name === asked || name.endsWith(`/${asked}`) || name.endsWith(`:${asked}`);
}

async function member(files: LayoutFiles, path: string, uri: string): Promise<LayerFile> {
  const file = await files.find(path);
  if (file !== undefined) return file;
  throw new EnrootError("bad-archive", `${uri}: its member '${path}' is missing`);
}

async function firstBytes(file: LayerFile): Promise<Uint8Array> {
  return await readDocument({ ...file, size: Math.min(4, file.size) }, "a layer");
}
