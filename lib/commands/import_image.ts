/**
 * What `import` and `load` have in common: an image from its source into a folder.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { type BuildOptions, buildRootfs } from "../import/build_rootfs.ts";
import { hexOf } from "../oci/digest.ts";
import { normalizeArchitecture } from "../oci/platform.ts";
import { WorkerPool } from "../pool/pool.ts";
import { workerUrl } from "../process/assets.ts";
import type { Image } from "../source/image.ts";
import { openImage, type SourceOptions } from "../source/source.ts";
import { formatUri, type ImageUri } from "../source/uri.ts";
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
  into(image: Image, build: (root: string) => Promise<void>): Promise<void>;
}

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
  await into(image, async (root) => {
    await using pool = new WorkerPool(workerUrl("apply_layer"), 1);
    const begun = performance.now();
    const summary = await buildRootfs(image, root, {
      pool,
      signal,
      provenance: image.uri,
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
    ownership: config.allowSuperuser && Deno.uid() === 0 ? "numeric" : "caller",
    limits: {
      ...(maxLayerSize === undefined ? {} : { maxSize: maxLayerSize }),
      ...(maxInflateRatio === undefined ? {} : { maxInflateRatio }),
    },
  };
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
