/**
 * A folder to apply layers to, and the members that layers are made of.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { applyLayer } from "../../lib/layer/apply_layer.ts";
import { parseDiffId, parseDigest } from "../../lib/oci/digest.ts";
import type { ApplyLayer, LayerSummary } from "../../lib/pool/protocol.ts";
import { removeTree } from "../../lib/sys/remove_tree.ts";
import { rawArchive, rawMember } from "./raw_tar.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The digest of bytes, as it is written. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A file. */
export function file(name: string, content = ""): Bytes {
  return rawMember({ name, content });
}

/** A folder. */
export function folder(name: string, mode = 0o755, mtime = 5): Bytes {
  return rawMember({ name, type: "5", mode, mtime });
}

/** A symlink. */
export function symlink(name: string, linkname: string): Bytes {
  return rawMember({ name, type: "2", linkname });
}

/** A hard link. */
export function hardlink(name: string, linkname: string): Bytes {
  return rawMember({ name, type: "1", linkname });
}

/** A root folder to apply layers to, beside a folder that must stay as it is. */
export class Place implements Disposable {
  readonly top = Deno.makeTempDirSync();
  readonly root = `${this.top}/root`;
  readonly outside = `${this.top}/outside`;

  constructor() {
    Deno.mkdirSync(this.root);
    Deno.mkdirSync(this.outside);
    Deno.writeTextFileSync(`${this.outside}/victim`, "untouched");
  }

  /** Write a layer's file, and give the request that applies it. */
  async request(
    tar: Bytes,
    changes: Partial<ApplyLayer> = {},
  ): Promise<Omit<ApplyLayer, "id" | "cancelled">> {
    const path = `${this.top}/layer`;
    const stored = changes.compression === "gzip" ? gzipSync(tar) : tar;
    await Deno.writeFile(path, stored);
    return {
      kind: "apply-layer",
      root: this.root,
      name: "layer 1",
      file: { path, offset: 0, size: stored.length },
      compression: "none",
      digest: parseDigest(sha256(stored)),
      diffId: parseDiffId(sha256(tar)),
      ownership: "caller",
      limits: {},
      ...changes,
    };
  }

  /** Apply a layer in this thread. */
  async apply(tar: Bytes, changes: Partial<ApplyLayer> = {}): Promise<LayerSummary> {
    const request = await this.request(tar, changes);
    return await applyLayer({ id: 0, cancelled: new SharedArrayBuffer(4), ...request }, () => {});
  }

  /** Apply layers of these members, one after the other. */
  async layers(...layers: readonly (readonly Bytes[])[]): Promise<void> {
    for (const members of layers) await this.apply(rawArchive(...members));
  }

  /** What is in the root: paths, folders with a final slash, files with their content. */
  list(path = ""): string[] {
    return [...Deno.readDirSync(`${this.root}/${path}`)].flatMap(
      ({ name, isDirectory, isFile }) => {
        const whole = `${path}${name}`;
        if (isDirectory) return [`${whole}/`, ...this.list(`${whole}/`)];
        return [isFile ? `${whole}=${Deno.readTextFileSync(`${this.root}/${whole}`)}` : whole];
      },
    ).sort();
  }

  /** What is known of a path in the root, symlinks not followed. */
  stat(path: string): Deno.FileInfo {
    return Deno.lstatSync(`${this.root}/${path}`);
  }

  [Symbol.dispose](): void {
    const outside = [...Deno.readDirSync(this.outside)].map(({ name }) => name);
    const victim = Deno.readTextFileSync(`${this.outside}/victim`);
    removeTree(this.top);
    assertEquals([outside, victim], [["victim"], "untouched"]);
  }
}
