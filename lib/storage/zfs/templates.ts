/**
 * Templates: finished images as datasets below `.templates`, each with the snapshot `@pristine` that
 * containers are clones of.
 *
 * A template is filled as `<id>.tmp`, unmounted, made read-only, snapshotted, and renamed into place:
 * under its own name it is whole. Whoever fills it holds the lock `.locks/<id>`. A `.tmp` without a
 * holder is what a killed process left; the next one to want it, or any later filling, destroys it.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import {
  childOf,
  type DatasetName,
  lastComponent,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { Provenance, TemplateRequest } from "../store.ts";
import { folders } from "./dataset_names.ts";
import { lockKey, tryLockKey } from "./key_lock.ts";
import { type Layout, layoutProperty } from "./layout.ts";
import { makeMountPoint, type Mounter, pathOf, type Place, removeMountPoint } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** What templates are made with. */
export interface TemplatesOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

const pristine = "pristine";
const unfinished = ".tmp";

/** What `zfs list` says of an id: which of its datasets are there. */
interface Found {
  readonly finished: boolean;
  /** There, but without the snapshot that makes it usable. */
  readonly broken: boolean;
  readonly unfinished: boolean;
}

/** The templates of a store. */
export class Templates {
  readonly #store: StoreLocation;
  readonly #options: TemplatesOptions;

  constructor(store: StoreLocation, options: TemplatesOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The dataset of a template, whether it is there or not. */
  dataset(id: string): DatasetName {
    return childOf(this.#options.layout.templates, id);
  }

  /** The snapshot that containers of a template are clones of. */
  snapshot(id: string): SnapshotName {
    return snapshotOf(this.dataset(id), pristine);
  }

  /** Note that a template has just been used. @throws {ZfsError} */
  touch(id: string): Promise<void> {
    return this.#options.zfs.set(this.dataset(id), { "enroot:last_used": epochSeconds() });
  }

  /** Make sure that there is a template; see {@linkcode Store.obtainTemplate}. */
  async obtain(request: TemplateRequest): Promise<void> {
    const { id, signal, onWait } = request;
    if ((await this.#find(id, signal)).finished) return;
    using _lock = await lockKey(this.#options.layout.locks, id, { signal, onWait });
    // While it was not ours it may have been finished, or left half-way.
    const found = await this.#find(id, signal);
    if (found.finished) return;
    if (found.broken) await this.#options.zfs.destroy(this.dataset(id), { recursive: true });
    if (found.unfinished) await this.#discard(this.#unfinishedPlace(id));
    await this.#tidy();
    this.#options.layout.ensureFolder(folders.templates);
    await this.#fill(request);
  }

  async #find(id: string, signal: AbortSignal): Promise<Found> {
    const { zfs, layout } = this.#options;
    const [dataset, snapshot] = [this.dataset(id), this.snapshot(id)];
    const temporary = this.#unfinishedPlace(id).dataset;
    const rows = await zfs.list([layout.templates, dataset, snapshot, temporary], {
      columns: [layoutProperty],
    });
    await layout.ensure(rows, signal);
    const has = (wanted: string): boolean => rows.some(({ name }) => name === wanted);
    return {
      // What a store of another layout had was renamed aside just now.
      finished: has(snapshot) &&
        rows.find(({ name }) => name === dataset)?.[layoutProperty] === "2",
      broken: has(dataset) && !has(snapshot),
      unfinished: has(temporary),
    };
  }

  async #fill({ id, provenance, build }: TemplateRequest): Promise<void> {
    const { zfs, mounter } = this.#options;
    const place = this.#unfinishedPlace(id);
    await using undo = new AsyncDisposableStack();
    await zfs.create(place.dataset, { canmount: "noauto", ...userProperties(provenance) });
    undo.defer(async () => void await this.#discard(place));
    makeMountPoint(place);
    await mounter.mount(place);
    await build(pathOf(place));
    await mounter.unmount(place);
    removeMountPoint(place);
    await zfs.set(place.dataset, { readonly: "on" });
    await zfs.snapshot(snapshotOf(place.dataset, pristine));
    await zfs.rename(place.dataset, this.dataset(id));
    undo.move();
  }

  /**
   * Destroy what is half-made. What goes wrong is told: the failure before it counts.
   *
   * @returns whether it is gone
   */
  async #discard(place: Place): Promise<boolean> {
    const { zfs, mounter, warn } = this.#options;
    try {
      await mounter.unmount(place);
      await zfs.destroy(place.dataset, { recursive: true });
      removeMountPoint(place);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "not-found") return true;
      warn(`cannot remove the unfinished ${place.dataset}: ${reasonOf(error)}`);
      return false;
    }
    return true;
  }

  /** Destroy what killed processes left of other templates: their locks are there and free. */
  async #tidy(): Promise<void> {
    const { layout } = this.#options;
    for (const { name } of Deno.readDirSync(layout.locks)) {
      if (!/^[0-9a-f]{64}(?:-[a-z]+)?$/.test(name)) continue;
      using lock = tryLockKey(layout.locks, name);
      if (lock === undefined) continue;
      if (!await this.#discard(this.#unfinishedPlace(name))) lock.leave();
    }
  }

  #unfinishedPlace(id: string): Place {
    const dataset = childOf(this.#options.layout.templates, `${id}${unfinished}`);
    return {
      dataset,
      store: this.#store.path,
      below: `${folders.templates}/${lastComponent(dataset)}`,
    };
  }
}

function userProperties({ uri, manifestDigest, architecture }: Provenance): Record<string, string> {
  return {
    "enroot:imported": new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    "enroot:last_used": epochSeconds(),
    ...(uri === undefined ? {} : { "enroot:uri": uri }),
    ...(manifestDigest === undefined ? {} : { "enroot:manifest-digest": manifestDigest }),
    ...(architecture === undefined ? {} : { "enroot:arch": architecture }),
  };
}

function epochSeconds(): string {
  return String(Math.floor(Date.now() / 1000));
}
