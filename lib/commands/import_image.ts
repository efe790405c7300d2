/**
 * What `import` and `load` have in common: an image from its source into a folder.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { type BuildOptions, buildRootfs } from "../import/build_rootfs.ts";
import { type Digest, hexOf } from "../oci/digest.ts";
import { normalizeArchitecture } from "../oci/platform.ts";
import { WorkerPool } from "../pool/pool.ts";
import { workerUrl } from "../process/assets.ts";
import type { Image } from "../source/image.ts";
import { openImage, type SourceOptions } from "../source/source.ts";
import { formatUri, type ImageUri } from "../source/uri.ts";
import type { Store, Template } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { formatBytes } from "./units.ts";

/** What is imported, and where to. */
export interface ImportRequest {
  readonly uri: ImageUri;
  /** As the user gave it; absent: this machine's. */
  readonly architecture: string | undefined;
  readonly signal: AbortSignal;
  /**
   * Called once the image is opened: makes a folder and has the image built in it.
   *
   * @param build builds the root filesystem in an empty folder
   */
  into(image: Image, build: Build): Promise<void>;
}

/**
 * Builds the root filesystem of an image in an empty folder.
 *
 * @param options.provenance the URI to note in it; absent where it is shared by several
 */
export type Build = (root: string, options?: { readonly provenance: string }) => Promise<void>;

/** Open an image, have it built, and tell the user how it goes. */
export async function importImage(
  context: Context,
  config: Config,
  { uri, architecture, signal, into }: ImportRequest,
): Promise<void> {
  const { terminal } = context;
  terminal.log("info", `Opening ${formatUri(uri)}`);
  await using image = await openImage(uri, sourceOptions(context, config, architecture, signal));
  const count = image.layers.length;
  const size = image.layers.reduce((sum, layer) => sum + (layer.size ?? 0), 0);
  terminal.log(
    "info",
    `Image ${hexOf(image.imageId).slice(0, 12)}: ${count} layer${count === 1 ? "" : "s"}, ${
      formatBytes(size)
    }`,
  );
  await into(image, async (root, options) => {
    await using pool = new WorkerPool(workerUrl("apply_layer"), 1);
    const begun = performance.now();
    const summary = await buildRootfs(image, root, {
      pool,
      signal,
      ...options,
      ...limitsOf(config),
      progress: {
        onFetch: (done, total) => terminal.progress("Downloading", done, total),
        onApply: (done, total) => terminal.progress("Extracting", done, total),
      },
    });
    terminal.finish();
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    terminal.log(
      "info",
      `Extracted ${summary.entries} entries, ${formatBytes(summary.tarSize)}, in ${seconds} s`,
    );
    for (const warning of warnings(summary)) terminal.log("warning", warning);
  });
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
    readonly build: Build;
    readonly signal: AbortSignal;
  },
): Promise<Template> {
  const id = templateId(config, image.imageId);
  let isBuilt = false;
  const template = await store.obtainTemplate({
    id,
    provenance: {
      uri: image.uri,
      architecture: image.config.architecture,
      ...(image.manifestDigest === undefined ? {} : { manifestDigest: image.manifestDigest }),
    },
    signal,
    build(root) {
      isBuilt = true;
      return build(root, store.capabilities.keepsTemplates ? undefined : { provenance: image.uri });
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which imports this image`),
  });
  if (!isBuilt) terminal.log("info", `Reusing template ${id.slice(0, 12)}`);
  return template;
}

/**
 * The id of an image's template. Files that keep their owners make another tree than files that all
 * belong to the one who imports.
 */
export function templateId(config: Config, imageId: Digest): string {
  return `${hexOf(imageId)}${ownershipOf(config) === "numeric" ? "-owners" : ""}`;
}

/** How a source is to be used, from the configuration. */
export function sourceOptions(
  context: Context,
  config: Config,
  architecture: string | undefined,
  signal: AbortSignal,
): SourceOptions {
  return {
    architecture: normalizeArchitecture(architecture ?? Deno.build.arch),
    cachePath: config.cachePath,
    tempPath: config.tempPath,
    allowHttp: config.allowHttp,
    connectTimeoutSeconds: config.connectTimeoutSeconds,
    transferTimeoutSeconds: config.transferTimeoutSeconds,
    retries: config.transferRetries,
    maxConnections: config.maxConnections,
    signal,
    log: (level, message) => context.terminal.log(level, message),
  };
}

function limitsOf(config: Config): Pick<BuildOptions, "limits" | "ownership"> {
  const { maxLayerSize, maxInflateRatio } = config;
  return {
    ownership: ownershipOf(config),
    limits: {
      ...(maxLayerSize === undefined ? {} : { maxSize: maxLayerSize }),
      ...(maxInflateRatio === undefined ? {} : { maxInflateRatio }),
    },
  };
}

function ownershipOf(config: Config): "numeric" | "caller" {
  return config.allowSuperuser && Deno.uid() === 0 ? "numeric" : "caller";
}

function warnings(summary: { skippedDevices: number; skippedXattrs: number }): string[] {
  const { skippedDevices, skippedXattrs } = summary;
  return [
    ...(skippedDevices > 0
      ? [`${skippedDevices} device nodes were left out: a container's devices come from the host`]
      : []),
    ...(skippedXattrs > 0
      ? [`${skippedXattrs} extended attributes or ACLs could not be set and were left out`]
      : []),
  ];
}
