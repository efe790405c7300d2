/**
 * Images in a Docker daemon or in podman's storage.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ImageConfig } from "../../oci/image_config.ts";
import type { Image, Layer } from "../image.ts";
import type { SourceOptions } from "../options.ts";
import { type EngineImage, type InspectedImage, inspectImage } from "./engine.ts";
import { SaveRun } from "./save_run.ts";

/**
 * The image is not the one that its engine's ID was taken for: the ID is no digest of a config. With
 * {@linkcode SourceOptions.readsConfigFirst} it is found out beforehand.
 */
export class EngineIdError extends EnrootError {
  override readonly name = "EngineIdError";

  constructor({ uri, engine }: EngineImage, expected: Digest, actual: Digest) {
    super(
      "engine-id",
      `${uri}: ${engine} led to expect the image ${expected}, but its config is ${actual}`,
    );
  }
}

/**
 * Open an image of an engine. Where the engine's ID is that of the image, only the engine is asked;
 * otherwise the image is read until its config has come.
 *
 * @throws {EnrootError} code `no-image`, `no-platform`, `engine-failed` or `program-missing`
 */
export async function openDaemonImage(
  source: EngineImage,
  options: SourceOptions,
): Promise<Image> {
  const inspected = await inspectImage(source, options);
  await using undo = new AsyncDisposableStack();
  const saves = undo.use(new Saves(source, inspected, options));
  const imageId = await knownImageId(inspected, options) ?? (await saves.config()).digest;
  undo.move();
  return {
    uri: source.uri,
    imageId,
    ...(inspected.id === imageId ? {} : { engineId: inspected.id }),
    architecture: inspected.platform.architecture,
    layers: inspected.diffIds.map((diffId, index): Layer => ({
      diffId,
      open: (request) => saves.open(index, request),
      skip: () => saves.skip(index),
    })),
    async config(): Promise<ImageConfig> {
      const { digest, config } = await saves.config();
      if (digest === imageId) return config;
      throw new EngineIdError(source, imageId, digest);
    },
    [Symbol.asyncDispose]: () => saves[Symbol.asyncDispose](),
  };
}

/** What the engine calls an image, without reading it. @throws {EnrootError} as above */
export async function inspectedId(source: EngineImage, options: SourceOptions): Promise<Digest> {
  return (await inspectImage(source, options)).id;
}

async function knownImageId(
  { id, isConfigDigest }: InspectedImage,
  { readsConfigFirst = false, imageIdOf }: SourceOptions,
): Promise<Digest | undefined> {
  if (readsConfigFirst) return undefined;
  return isConfigDigest ? id : await imageIdOf?.(id);
}

/** The saves of one image: one, unless a layer is asked for again after it has gone by. */
class Saves implements AsyncDisposable {
  readonly #start: () => SaveRun;
  readonly #skipped = new Set<number>();
  readonly #all = new AsyncDisposableStack();
  #run: SaveRun | undefined;

  constructor(
    image: EngineImage,
    { id, diffIds }: InspectedImage,
    { architecture, tempPath, signal, log }: SourceOptions,
  ) {
    const skipped = this.#skipped;
    this.#start = () =>
      this.#all.use(
        new SaveRun({ image, id, diffIds, architecture, tempPath, skipped, signal, log }),
      );
  }

  open(index: number, request: Parameters<Layer["open"]>[0]): ReturnType<Layer["open"]> {
    this.#skipped.delete(index);
    if (!this.#run?.canOpen(index)) this.#run = this.#start();
    return this.#run.open(index, request);
  }

  skip(index: number): void {
    this.#skipped.add(index);
    this.#run?.skip(index);
  }

  config(): ReturnType<SaveRun["config"]> {
    this.#run ??= this.#start();
    return this.#run.config();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#all.disposeAsync();
  }
}
