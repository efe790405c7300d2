/**
 * A squashfs file as a template.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { helperPath } from "../process/assets.ts";
import { digestOfFile } from "../storage/file_digest.ts";
import { unpackSquashfs } from "../storage/squashfs.ts";
import type { Store, TemplateReference, TemplateRequest } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { leftOut } from "./left_out.ts";
import { ownershipOf, templateIdOf } from "./template_id.ts";
import { useTemplate } from "./use_template.ts";

/**
 * Use the template of a squashfs file. It is hashed, where templates are shared, and extracted unless
 * that was done before.
 *
 * @throws {EnrootError} when it cannot be read or extracted
 */
export async function useSquashfs(
  { terminal }: Context,
  config: Config,
  store: Store,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  // Where nothing is shared there is no need to know the file by its content.
  const content = store.capabilities.keepsTemplates
    ? await digestOfFile(path, {
      memory: `${config.cachePath}/digests`,
      signal,
      onProgress: (done, total) => terminal.progress("Reading", done, total),
    })
    : "";
  const keepsOwners = ownershipOf(config) === "numeric";
  const request: TemplateRequest = {
    id: templateIdOf(config, content),
    provenance: {},
    size: Deno.statSync(path).size,
    signal,
    async build(root) {
      terminal.log("info", `Extracting ${path}`);
      const summary = await unpackSquashfs(path, root, {
        processors: config.maxProcessors,
        asRoot: keepsOwners ? [] : [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"],
        signal,
        onProgress: (done, total) => terminal.progress("Extracting", done, total),
      });
      for (const warning of leftOut(summary)) terminal.log("warning", warning);
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which extracts this image`),
  };
  await useTemplate(() => store.obtainTemplate(request), use);
  terminal.finish();
}
