/**
 * Images become trees, by us and by umoci.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { applyLayer } from "../../lib/layer/apply_layer.ts";
import { EnrootError } from "../../lib/errors.ts";
import { parseDiffId, parseDigest } from "../../lib/oci/digest.ts";
import { removeTree } from "../../lib/sys/remove_tree.ts";
import { attempt } from "../support/command.ts";
import { OciLayout } from "../support/oci_layout.ts";
import { describeTree, diffTrees, type Entry } from "../support/tree.ts";
import type { Bytes, Layer } from "./corpus.ts";

/** What came of an image: a tree, or why there is none. */
export type Outcome = { readonly tree: readonly Entry[] } | { readonly refused: string };

/** A folder for one case, beside one that must stay as it is. */
export class Place implements Disposable {
  readonly top = Deno.makeTempDirSync();

  constructor() {
    Deno.mkdirSync(`${this.top}/outside`);
    Deno.writeTextFileSync(`${this.top}/outside/victim`, "untouched");
  }

  root(name: string): string {
    const root = `${this.top}/${name}`;
    Deno.mkdirSync(root);
    Deno.chmodSync(root, 0o755);
    return root;
  }

  [Symbol.dispose](): void {
    const outside = [...Deno.readDirSync(`${this.top}/outside`)].map(({ name }) => name);
    const victim = Deno.readTextFileSync(`${this.top}/outside/victim`);
    removeTree(this.top);
    assertEquals([outside, victim], [["victim"], "untouched"]);
  }
}

/** Apply layers as `enroot` does, in `ours`, keeping owners. @throws whatever is no refusal */
export async function withUs(place: Place, layers: readonly Layer[]): Promise<Outcome> {
  const root = place.root("ours");
  try {
    for (const [index, layer] of layers.entries()) {
      const { tar, compression, stored } = layer instanceof Uint8Array
        ? { tar: layer, compression: "none" as const, stored: layer }
        : layer;
      const path = `${place.top}/layer`;
      await Deno.writeFile(path, stored);
      await applyLayer({
        kind: "apply-layer",
        id: index,
        root,
        name: `layer ${index + 1}`,
        file: { path, offset: 0, size: stored.length },
        compression,
        digest: parseDigest(sha256(stored)),
        diffId: parseDiffId(sha256(tar)),
        ownership: "numeric",
        limits: {},
        cancelled: new SharedArrayBuffer(4),
      }, () => {});
    }
  } catch (error) {
    if (error instanceof EnrootError) return { refused: error.message };
    throw error;
  }
  return { tree: await describeTree(root, { owners: true, nanoseconds: true }) };
}

/** Unpack layers with umoci, in `theirs`. */
export async function withUmoci(place: Place, layers: readonly Layer[]): Promise<Outcome> {
  const layout = await OciLayout.create(`${place.top}/layout`);
  const stored = [];
  for (const layer of layers) {
    const { tar, compression, stored: blob } = layer instanceof Uint8Array
      ? { tar: layer, compression: undefined, stored: layer }
      : layer;
    const suffix = compression === undefined ? "" : `+${compression}`;
    stored.push({
      descriptor: await layout.putBlob(`application/vnd.oci.image.layer.v1.tar${suffix}`, blob),
      diffId: sha256(tar),
    });
  }
  await layout.tag("case", await layout.putImage(stored));
  const root = `${place.top}/theirs`;
  const before = Date.now() / 1000 - 1;
  const { code, stderr } = await attempt(
    ["umoci", "raw", "unpack", "--image", `${layout.path}:case`, root],
  );
  if (code !== 0) return { refused: stderr };
  const tree = await describeTree(root, { owners: true, nanoseconds: true });
  // A folder that no entry describes has the time at which umoci made it, and with us none; the root
  // folder has none with umoci, and with us the time that whoever made it gave it.
  const isUndescribed = ({ path, type, mtime }: Entry): boolean =>
    type === "d" && Number(mtime) > before || path === "." && Number(mtime) === 0;
  return { tree: tree.map((entry) => isUndescribed(entry) ? { ...entry, mtime: "any" } : entry) };
}

/** What umoci made that we did not, and the reverse; none when both did the same. */
export function compare(ours: Outcome, theirs: Outcome): string[] {
  if ("refused" in ours || "refused" in theirs) {
    if ("refused" in ours && "refused" in theirs) return [];
    return [`umoci: ${"refused" in theirs ? theirs.refused : "accepts it"}`];
  }
  const any = new Set(theirs.tree.filter(({ mtime }) => mtime === "any").map(({ path }) => path));
  const tree = ours.tree.map((entry) => any.has(entry.path) ? { ...entry, mtime: "any" } : entry);
  return diffTrees(tree, theirs.tree);
}

function sha256(bytes: Bytes): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
