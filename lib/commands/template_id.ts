/**
 * What templates are called.
 *
 * @module
 */

import type { Config } from "../config/config.ts";

/** Whose files are. Numbers of the image's own are for root, who asks for them. */
export function ownershipOf(config: Config): "numeric" | "caller" {
  return config.allowSuperuser && Deno.uid() === 0 ? "numeric" : "caller";
}

/**
 * The id of a template. Files that keep their owners make another tree than files that all belong to the
 * one who imports.
 *
 * @param content 64 hex digits: the image ID or the digest of the image file; or nothing, where no
 * templates are kept
 */
export function templateIdOf(config: Config, content: string): string {
  return `${content}${ownershipOf(config) === "numeric" ? "-owners" : ""}`;
}
