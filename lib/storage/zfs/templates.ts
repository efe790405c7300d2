/**
 * Templates: finished images as datasets below `.templates`, each with the snapshot `@pristine` that
 * containers are clones of.
 *
 * @module
 */

import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { DatasetName, SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { Provenance, TemplateRequest } from "../store.ts";
import type { Builder } from "./builder.ts";
import type { KeyLock } from "./key_lock.ts";
import type { Layers } from "./layers.ts";
import { type Layout, layoutProperty, layoutVersion } from "./layout.ts";
import { markTemplate } from "./template_mark.ts";

/** What templates are made with. */
export interface TemplatesOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly builder: Builder;
  /** Where layers are kept apart; absent: a template is built in one go. */
  readonly layers?: Layers | undefined;
  /** Whether root fills them for all users. */
  readonly isShared?: boolean;
}

/** What `zfs list` says of an id: which of its datasets are there. */
interface Found {
  readonly finished: boolean;
  /** There, but without the snapshot that makes it usable. */
  readonly broken: boolean;
  readonly unfinished: boolean;
  /** What an engine knows it by; `-` when that is not known. */
  readonly engineId: string | undefined;
  /** When it was used last, in seconds since the epoch; 0 when that is not known. */
  readonly lastUsed: number;
  /** Whether anybody may have it: `y`, `n`, or `-` when that is not known. */
  readonly isPublic: string | undefined;
}

/** From when on a template that is found again is noted as used, in seconds: it must not go right away. */
const useIsOld = 600;

const usedProperty = "enroot:last_used";
const engineIdProperty = "enroot:engine-id";

/** `y` on templates that were filled for all users, and are marked for the mount helper. */
export const sharedProperty = "enroot:shared";

/** Whether a registry gave the image to nobody in particular: set on templates that all users share. */
export const publicProperty = "enroot:public";

/** The templates of a store. */
export class Templates {
  readonly #options: TemplatesOptions;

  constructor(options: TemplatesOptions) {
    this.#options = options;
  }

  /** The dataset of a template, whether it is there or not. */
  dataset(id: string): DatasetName {
    return this.#options.builder.dataset("template", id);
  }

  /** The snapshot that containers of a template are clones of. */
  snapshot(id: string): SnapshotName {
    return this.#options.builder.snapshot("template", id);
  }

  /** Note that a template has just been used. @throws {ZfsError} */
  touch(id: string): Promise<void> {
    return this.#options.zfs.set(this.dataset(id), { [usedProperty]: epochSeconds() });
  }

  /**
   * Make sure that there is a template; see {@linkcode Store.obtainTemplate}.
   *
   * @returns when it was built now, its lock: as long as that is held no sweep takes it
   */
  async obtain(request: TemplateRequest): Promise<KeyLock | undefined> {
    const { id, provenance, signal, onWait } = request;
    const { builder, zfs } = this.#options;
    const there = await this.#find(id, signal);
    if (there.finished) {
      const { engineId } = provenance;
      if (engineId !== undefined && there.engineId !== engineId) {
        await zfs.set(this.dataset(id), { [engineIdProperty]: engineId });
      }
      const access = this.#accessOf(provenance);
      const { [publicProperty]: isPublic = there.isPublic } = access;
      if (isPublic !== there.isPublic) await zfs.set(this.dataset(id), access);
      if (Date.now() / 1000 - there.lastUsed > useIsOld) await this.touch(id);
      return undefined;
    }
    using undo = new DisposableStack();
    const lock = undo.use(await builder.lock("template", id, { signal, onWait }));
    // While it was not ours it may have been finished, or left half-way.
    const found = await this.#find(id, signal);
    if (found.finished) return undefined;
    if (found.broken) await builder.clear("template", id);
    if (found.unfinished) await builder.discard("template", id);
    await builder.tidy();
    try {
      await this.#build(request);
    } catch (error) {
      // A program that a killed process had started may have put it in place meanwhile.
      const isThere = error instanceof ZfsError && error.reason === "exists";
      if (!isThere || !(await this.#find(id, signal)).finished) throw error;
      return undefined;
    }
    undo.move();
    return lock;
  }

  /** See {@linkcode Store.imageIdOf}. @throws {ZfsError} */
  async imageIdOf(engineId: Digest, architecture: string): Promise<Digest | undefined> {
    const { zfs, layout } = this.#options;
    const rows = await zfs.list([layout.templates], {
      depth: 1,
      types: ["filesystem"],
      columns: [engineIdProperty, "enroot:arch", layoutProperty],
    });
    const found = rows.find((row) =>
      row[engineIdProperty] === engineId && row["enroot:arch"] === architecture &&
      row[layoutProperty] === layoutVersion
    );
    const [hex] = /(?<=\/)[0-9a-f]{64}/.exec(found?.name ?? "") ?? [];
    return hex === undefined ? undefined : parseDigest(`sha256:${hex}`);
  }

  async #build(request: TemplateRequest): Promise<void> {
    const { id, provenance, build, receive, layered, signal, onWait } = request;
    const { builder, layers } = this.#options;
    const properties = {
      ...userProperties(provenance),
      ...(this.#options.isShared === true ? { [sharedProperty]: "y" } : {}),
      ...this.#accessOf(provenance),
    };
    const filled = (fill: (root: string) => Promise<void>) => async (root: string) => {
      await fill(root);
      if (this.#options.isShared === true) markTemplate(root, id);
    };
    if (layers === undefined || layered === undefined) {
      await builder.build({ kind: "template", id, properties, fill: filled(build), receive });
      return;
    }
    let overtaken: ZfsError | undefined;
    await layers.use(layered, { signal, onWait }, async (top, begun) => {
      await using template = await builder.begin({ kind: "template", id, from: top, properties });
      const layersInPlace = begun();
      await template.fill(filled((root) => layered.finish(root)));
      await layersInPlace;
      try {
        await template.publish({ isReadonly: true });
      } catch (error) {
        // That is no matter of the layers, which would be built again.
        if (!(error instanceof ZfsError && error.reason === "exists")) throw error;
        overtaken = error;
      }
    });
    if (overtaken !== undefined) throw overtaken;
  }

  /** What is noted of who may have it, where that matters and is known. */
  #accessOf({ access }: Provenance): Record<string, string> {
    if (this.#options.isShared !== true || access === undefined) return {};
    return { [publicProperty]: access === "anonymous" ? "y" : "n" };
  }

  async #find(id: string, signal: AbortSignal): Promise<Found> {
    const { zfs, layout, builder } = this.#options;
    const [dataset, snapshot] = [this.dataset(id), this.snapshot(id)];
    const unfinished = builder.unfinished("template", id);
    const rows = await zfs.list([layout.templates, dataset, snapshot, unfinished], {
      columns: [layoutProperty, engineIdProperty, usedProperty, publicProperty],
    });
    const has = (wanted: string): boolean => rows.some(({ name }) => name === wanted);
    // What a store of another layout had was renamed aside just now; the mark is inherited.
    const row = rows.find(({ name }) => name === dataset);
    const isOurs = row?.[layoutProperty] === layoutVersion;
    if (!has(snapshot) || !isOurs) builder.refuseForOthers();
    await layout.ensure("templates", rows, signal);
    return {
      finished: has(snapshot) && isOurs,
      broken: has(dataset) && isOurs && !has(snapshot),
      unfinished: has(unfinished),
      engineId: row?.[engineIdProperty],
      isPublic: row?.[publicProperty],
      lastUsed: Number(row?.[usedProperty]) || 0,
    };
  }
}

function userProperties(
  { uri, manifestDigest, architecture, engineId }: Provenance,
): Record<string, string> {
  return {
    "enroot:imported": new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    [usedProperty]: epochSeconds(),
    ...(uri === undefined ? {} : { "enroot:uri": uri }),
    ...(manifestDigest === undefined ? {} : { "enroot:manifest-digest": manifestDigest }),
    ...(architecture === undefined ? {} : { "enroot:arch": architecture }),
    ...(engineId === undefined ? {} : { [engineIdProperty]: engineId }),
  };
}

function epochSeconds(): string {
  return String(Math.floor(Date.now() / 1000));
}
