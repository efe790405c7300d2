/**
 * Chain IDs: names for stacks of layers.
 *
 * @module
 */

import { createSha256 } from "../std/node.ts";
import type { DiffId } from "./digest.ts";

declare const kind: unique symbol;

/** The name of a stack of layers, by the uncompressed content of all of them; `sha256:` and hex. */
export type ChainId = string & { readonly [kind]: "chain-id" };

/**
 * The chain ID of each layer of an image with all those below it, lowest first.
 *
 * Source: OCI image-spec 1.1, "Layer ChainID".
 */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  let below: string | undefined;
  return diffIds.map((diffId) => {
    below = below === undefined
      ? diffId
      : `sha256:${createSha256().update(`${below} ${diffId}`).digest("hex")}`;
    return below as ChainId;
  });
}
