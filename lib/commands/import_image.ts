/**
 * What `import` and `load` have in common: an image from its source into a folder.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError, reasonOf } from "../errors.ts";
import { chainIds } from "../oci/chain_id.ts";
import { type Digest, hexOf } from "../oci/digest.ts";
import { normalizeArchitecture } from "../oci/platform.ts";
import type { WorkerPool } from "../pool/pool.ts";
import type { Image } from "../source/image.ts";
import type { Connections } from "../source/registry/connections.ts";
import { openImage, type SourceOptions } from "../source/source.ts";
import { formatUri, type ImageUri } from "../source/uri.ts";
import type { Store, StoreLayer, Template } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { registrySettings, useNetworkSettings } from "./network.ts";
import { ReportedBuild } from "./reported_build.ts";
import { ownershipOf, templateIdOf } from "./template_id.ts";
import { formatBytes } from "./units.ts";

/** What is imported, and where to. */
export interface ImportRequest {
  readonly uri: ImageUri;
  /** As the user gave it; absent: this machine's. */
  readonly architecture: string | undefined;
  readonly signal: AbortSignal;
  /** What this image shares with others that are imported meanwhile; absent: nothing. */
  readonly shared?: { readonly connections: Connections; readonly pool: WorkerPool };
  /** Where templates are kept: it may know what an engine means by an ID. */
  readonly store?: Store;
  /**
   * Called once the image is opened: makes a folder and has the image built in it.
   *
   * @param build builds the root filesystem
   */
  into(image: Image, build: ReportedBuild): Promise<void>;
}

/** How an import is tried once more, by the code of what it failed with. */
const remedies: Readonly<Record<string, Partial<SourceOptions>>> = {
  "engine-id": { readsConfigFirst: true },
  "cache-damaged": { distrustsCache: true, waitsForLayers: true },
  "begun-anew": { waitsForLayers: true },
};

/** Open an image, have it built, and tell the user how it goes. */
export async function importImage(
  context: Context,
  config: Config,
  request: ImportRequest,
): Promise<void> {
  const { uri, architecture, signal, shared, store } = request;
  context.terminal.log("info", `Opening ${formatUri(uri)}`);
  const plain = sourceOptions(context, config, architecture, signal);
  const imageIdOf = (id: Digest): Promise<Digest | undefined> =>
    store?.imageIdOf(id, plain.architecture) ?? Promise.resolve(undefined);
  const connections = shared === undefined ? {} : { connections: shared.connections };
  // Of a template that others share it counts who gets its manifest, not who has it.
  const asksForManifest = store !== undefined && config.templateStore !== undefined;
  const options = { ...plain, ...connections, imageIdOf, asksForManifest };
  try {
    await importFrom(context, config, request, options);
  } catch (error) {
    const code = error instanceof EnrootError ? error.code : "";
    const remedy = remedies[code];
    if (remedy === undefined) throw error;
    signal.throwIfAborted();
    context.terminal.log(code === "engine-id" ? "debug" : "warning", reasonOf(error));
    await importFrom(context, config, request, { ...options, ...remedy });
  }
}

async function importFrom(
  context: Context,
  config: Config,
  { uri, signal, shared, into }: ImportRequest,
  options: SourceOptions,
): Promise<void> {
  await using image = await openImage(uri, options);
  const count = image.layers.length;
  const sizes = image.layers.flatMap(({ size }) => size === undefined ? [] : [size]);
  const size = sizes.reduce((sum, each) => sum + each, 0);
  context.terminal.log(
    "info",
    `Image ${hexOf(image.imageId).slice(0, 12)}: ${count} layer${count === 1 ? "" : "s"}${
      sizes.length < count ? "" : `, ${formatBytes(size)}`
    }`,
  );
  await using build = new ReportedBuild(context, config, {
    image,
    signal,
    ...(shared === undefined ? {} : { pool: shared.pool }),
  });
  await into(image, build);
}

/**
 * The template of an image: the one in the store, or one that is built.
 *
 * @returns to be disposed of
 */
export async function obtainTemplate(
  { terminal }: Context,
  config: Config,
  store: Store,
  { image, build, signal }: {
    readonly image: Image;
    readonly build: ReportedBuild;
    readonly signal: AbortSignal;
  },
): Promise<Template> {
  const id = templateIdOf(config, hexOf(image.imageId));
  let isBuilt = false;
  // Only asked for when the image is not there, and then often.
  let layers: readonly StoreLayer[] | undefined;
  const template = await store.obtainTemplate({
    id,
    provenance: {
      uri: image.uri,
      architecture: image.architecture,
      ...(image.manifestDigest === undefined ? {} : { manifestDigest: image.manifestDigest }),
      ...(image.engineId === undefined ? {} : { engineId: image.engineId }),
      ...(image.access === undefined ? {} : { access: image.access }),
    },
    size: sizeOf(image),
    signal,
    build(root) {
      isBuilt = true;
      return build.whole(root, store.capabilities.keepsTemplates ? undefined : image.uri);
    },
    layered: {
      get layers() {
        return layers ??= storeLayers(image);
      },
      ...(ownershipOf(config) === "numeric" ? { variant: "owners" } : {}),
      begin(first) {
        if (first > 0) terminal.log("info", `Reusing ${first} of ${image.layers.length} layers`);
        build.begin(first);
      },
      apply: (index, root) => build.apply(index, root),
      finish(root) {
        isBuilt = true;
        return build.finish(root);
      },
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which imports this image`),
  });
  if (!isBuilt) terminal.log("info", `Reusing template ${id.slice(0, 12)}`);
  return template;
}

/** Where a source does not know them all, none is said. */
function sizeOf({ layers }: Image): number | undefined {
  return layers.reduce<number | undefined>(
    (sum, { size }) => sum === undefined || size === undefined ? undefined : sum + size,
    0,
  );
}

function storeLayers({ layers }: Image): StoreLayer[] {
  const chain = chainIds(layers.map(({ diffId }) => diffId));
  return layers.flatMap(({ diffId, digest }, index) => {
    const chainId = chain[index];
    if (chainId === undefined) return [];
    return [{ chainId, diffId, ...(digest === undefined ? {} : { digest }) }];
  });
}

/** How a source is to be used, from the configuration. */
export function sourceOptions(
  context: Context,
  config: Config,
  architecture: string | undefined,
  signal: AbortSignal,
): SourceOptions {
  useNetworkSettings(config.variables);
  return {
    architecture: normalizeArchitecture(architecture ?? Deno.build.arch),
    cachePath: config.cachePath,
    tempPath: config.tempPath,
    allowHttp: config.allowHttp,
    registries: registrySettings(context.environment, config),
    connectTimeoutSeconds: config.connectTimeoutSeconds,
    transferTimeoutSeconds: config.transferTimeoutSeconds,
    retries: config.transferRetries,
    maxConnections: config.maxConnections,
    cacheMaxSize: config.cacheMaxSize,
    signal,
    log: (level, message) => context.terminal.log(level, message),
  };
}
