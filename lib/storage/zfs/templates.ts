/**
 * Templates: finished images as datasets below `.templates`, each with the snapshot `@pristine` that
 * containers are clones of.
 *
 * @module
 */

import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { DatasetName, SnapshotName } from "../../zfs/dataset.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { Provenance, TemplateRequest } from "../store.ts";
import type { Builder } from "./builder.ts";
import type { Layers } from "./layers.ts";
import { type Layout, layoutProperty, layoutVersion } from "./layout.ts";

/** What templates are made with. */
export interface TemplatesOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly builder: Builder;
  /** Where layers are kept apart; absent: a template is built in one go. */
  readonly layers?: Layers | undefined;
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
}

/** From when on a template that is found again is noted as used, in seconds: it must not go right away. */
const useIsOld = 600;

const usedProperty = "enroot:last_used";
const engineIdProperty = "enroot:engine-id";

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
   * @returns whether it was built now
   */
  async obtain(request: TemplateRequest): Promise<boolean> {
    const { id, provenance, signal, onWait } = request;
    const { builder, zfs } = this.#options;
    const there = await this.#find(id, signal);
    if (there.finished) {
      const { engineId } = provenance;
      if (engineId !== undefined && there.engineId !== engineId) {
        await zfs.set(this.dataset(id), { [engineIdProperty]: engineId });
      }
      if (Date.now() / 1000 - there.lastUsed > useIsOld) await this.touch(id);
      return false;
    }
    using _lock = await builder.lock("template", id, { signal, onWait });
    // While it was not ours it may have been finished, or left half-way.
    const found = await this.#find(id, signal);
    if (found.finished) return false;
    if (found.broken) await zfs.destroy(this.dataset(id), { recursive: true });
    if (found.unfinished) await builder.discard("template", id);
    await builder.tidy();
    await this.#build(request);
    return true;
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
    const properties = userProperties(provenance);
    if (layers === undefined || layered === undefined) {
      await builder.build({ kind: "template", id, properties, fill: build, receive });
      return;
    }
    await layers.use(layered, { signal, onWait }, (top) =>
      builder.build({
        kind: "template",
        id,
        from: top,
        properties,
        fill: (root) => layered.finish(root),
      }));
  }

  async #find(id: string, signal: AbortSignal): Promise<Found> {
    const { zfs, layout, builder } = this.#options;
    const [dataset, snapshot] = [this.dataset(id), this.snapshot(id)];
    const unfinished = builder.unfinished("template", id);
    const rows = await zfs.list([layout.templates, dataset, snapshot, unfinished], {
      columns: [layoutProperty, engineIdProperty, usedProperty],
    });
    await layout.ensure("templates", rows, signal);
    const has = (wanted: string): boolean => rows.some(({ name }) => name === wanted);
    // What a store of another layout had was renamed aside just now; the mark is inherited.
    const row = rows.find(({ name }) => name === dataset);
    const isOurs = row?.[layoutProperty] === layoutVersion;
    return {
      finished: has(snapshot) && isOurs,
      broken: has(dataset) && isOurs && !has(snapshot),
      unfinished: has(unfinished),
      engineId: row?.[engineIdProperty],
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
