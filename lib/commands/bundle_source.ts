/**
 * What a bundle is made of, as a root folder.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { helperPath } from "../process/assets.ts";
import { unpackSquashfs } from "../storage/squashfs.ts";
import { makesEphemerals } from "../storage/store.ts";
import { createStaging, tidyStaging } from "../sys/staging.ts";
import type { Context } from "./command.ts";
import { onlyOnZfs, useImageFile } from "./image_file.ts";
import { leftOut } from "./left_out.ts";
import { findTarget } from "./start_container.ts";
import { openStore } from "./store.ts";

/** What is to be had. */
export interface BundleSource {
  readonly operand: string;
  readonly signal: AbortSignal;
}

/**
 * Use the root folder of a container or an image file: that of the container itself, a throw-away clone
 * of a template, or one that a squashfs file is unpacked to.
 *
 * @throws {EnrootError} when there is no such thing; code `pointer-on-dir`, `no-zfs` or `unpack-failed`
 */
export async function withBundleSource(
  context: Context,
  config: Config,
  { operand, signal }: BundleSource,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const { terminal } = context;
  const store = await openStore(context, config);
  const { container, image } = await findTarget(store, operand);
  if (container !== undefined) return await use(container.path);
  if (image.pointer !== undefined || image.isStream === true) {
    const refusal = makesEphemerals(store) ? undefined : onlyOnZfs(image);
    if (refusal !== undefined || !makesEphemerals(store)) throw refusal;
    return await useImageFile(context, config, store, { image, signal }, async (template) => {
      await using ephemeral = await store.createEphemeral(template);
      await use(ephemeral.path);
    });
  }
  const prefix = `enroot-bundle-source.${Deno.uid()}.`;
  tidyStaging(config.tempPath, prefix);
  using staging = createStaging(config.tempPath, prefix);
  terminal.log("info", `Extracting ${image.path}`);
  const summary = await unpackSquashfs(image.path, staging.path, {
    processors: config.maxProcessors,
    asRoot: [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
    signal,
    onProgress: (done, total) => terminal.progress("Extracting", done, total),
  });
  terminal.finish();
  for (const warning of leftOut(summary)) terminal.log("warning", warning);
  await use(staging.path);
}
