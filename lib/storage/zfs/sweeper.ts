/**
 * Removing templates and layers that nobody needs any more.
 *
 * What goes is decided by `lifecycle.ts` from one list of the store; it goes under its lock, and what
 * has got a clone in the meantime is refused by ZFS and stays.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import type { DatasetName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { Builder } from "./builder.ts";
import type { Ephemerals } from "./ephemeral.ts";
import { tryLockKey, tryLockWithoutRoom } from "./key_lock.ts";
import type { Layout } from "./layout.ts";
import type { Mounter } from "./mounter.ts";
import { isNoSpace } from "./no_space.ts";
import { tidyReceiving, usedProperty } from "./receiving.ts";
import { tidySent } from "./sent_snapshots.ts";
import {
  describeStore,
  evictable,
  lifecycleColumns,
  type LifecycleRow,
  pressure,
  type Stored,
  unneededLayers,
} from "./lifecycle.ts";

/** What a sweep works with. */
export interface SweeperOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly builder: Builder;
  readonly ephemerals: Ephemerals;
  readonly warn: (message: string) => void;
  /** How long templates are kept that are not used, in seconds. */
  readonly warmSeconds: number;
  /** How full a quota may be before templates go that would be kept, from 0 to 1. */
  readonly threshold: number;
  /** Whether clones of templates are in other stores. */
  readonly isShared?: boolean;
}

/** The file among the locks whose time is that of the last sweep. */
const mark = "swept";

/** How long a sweep is not due again, in milliseconds. */
const interval = 600_000;

/** The sweeps of a store. */
export class Sweeper {
  readonly #store: DatasetName;
  readonly #options: SweeperOptions;

  constructor(store: DatasetName, options: SweeperOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Whether the last sweep, of any command, is ten minutes ago. No process is started to tell. */
  isDue(): boolean {
    const { layout } = this.#options;
    // A store that nothing was ever imported into has nothing to sweep.
    if (!layout.isKnown()) return false;
    return Date.now() - (layout.locks.changed(mark)?.getTime() ?? 0) > interval;
  }

  /** Destroy cold templates, then under pressure also warm ones, and the layers they leave. */
  async sweep(): Promise<void> {
    this.#note();
    let rows = await this.#rows();
    await this.#tidy(rows);
    if (this.#options.isShared === true) await this.#noteUses(rows);
    const gone = await this.#evictAll(evictable(this.#describe(rows), "time"));
    for (let measured = gone > 0 ? await this.#rows() : rows;; measured = await this.#rows()) {
      rows = await this.#collectLayers(measured);
      // What an import keeps from going goes with the next sweep: no other template has to go for it.
      const leaving = this.#isImporting() ? unneededLayers(this.#describe(rows)) : [];
      if (pressure(this.#store, rows, leaving) <= this.#options.threshold) return;
      if (!await this.#evictOne(evictable(this.#describe(rows), "pressure"))) return;
    }
  }

  /** All templates and layers. */
  async stored(): Promise<Stored[]> {
    return this.#describe(await this.#rows());
  }

  /**
   * Destroy what is cold, or all that is not in use, and the layers that are left.
   *
   * @param options.isDryRun destroy nothing
   * @returns what is gone, or would be
   */
  async prune(
    { all, isDryRun }: { readonly all: boolean; readonly isDryRun: boolean },
  ): Promise<Stored[]> {
    if (!this.#options.layout.isKnown()) return [];
    const rows = await this.#rows();
    const before = this.#describe(rows);
    const chosen = evictable(before, all ? "room" : "time");
    if (isDryRun) {
      const { builder } = this.#options;
      const names = new Set<string>(chosen.map(({ kind, id }) => builder.dataset(kind, id)));
      const rest = rows.filter(({ name }) => !names.has(name));
      return [...chosen, ...unneededLayers(this.#describe(rest))];
    }
    await this.#tidy(rows);
    await this.#evictAll(chosen);
    await this.#warnOfHolds(chosen);
    const after = this.#describe(await this.#collectLayers(await this.#rows()));
    const gone = before.filter(({ kind, id }) =>
      !after.some((each) => each.kind === kind && each.id === id)
    );
    // A layer that went was needed until its template did.
    return gone.map((each) => each.kind === "layer" ? { ...each, state: "cold" } : each);
  }

  /**
   * Destroy everything that is not in use: somebody needs the room now. An import that was about to use a layer
   * that goes builds it again.
   *
   * @param needed the id of a template that is about to be used
   */
  async evictIdle(needed?: string): Promise<void> {
    const rows = await this.#rows();
    await this.#tidy(rows);
    const idle = evictable(this.#describe(rows), "room");
    await this.#evictAll(idle.filter(({ id }) => id !== needed));
    await this.#destroyLayers(await this.#rows());
  }

  /** Users cannot note their uses of what root lends: what has a clone of theirs now is in use now. */
  async #noteUses(rows: readonly LifecycleRow[]): Promise<void> {
    const { zfs, builder } = this.#options;
    const now = Math.floor(Date.now() / 1000);
    const used = this.#describe(rows).filter(({ kind, state, lastUsed }) =>
      kind === "template" && state === "live" && (now - lastUsed) * 1000 > interval
    );
    const datasets = used.map(({ kind, id }) => builder.dataset(kind, id));
    if (datasets.length > 0) await zfs.set(datasets, { [usedProperty]: String(now) });
  }

  /** Destroy what killed processes left. */
  async #tidy(rows: readonly LifecycleRow[]): Promise<void> {
    const { builder, ephemerals } = this.#options;
    const names = rows.map(({ name }) => name);
    await builder.tidy(names);
    await ephemerals.tidy(names);
    await tidyReceiving(this.#options, rows);
    await tidySent(this.#options, this.#store);
  }

  /** @returns how many went */
  async #evictAll(stored: readonly Stored[]): Promise<number> {
    let gone = 0;
    for (const each of stored) if (await this.#destroy(each)) gone++;
    return gone;
  }

  /** The first that goes. @returns whether one did */
  async #evictOne(stored: readonly Stored[]): Promise<boolean> {
    for (const each of stored) if (await this.#destroy(each)) return true;
    return false;
  }

  /**
   * Destroy the layers that nothing stands on; not while something is being imported, which may be
   * about to.
   *
   * @returns what is there afterwards
   */
  async #collectLayers(rows: LifecycleRow[]): Promise<LifecycleRow[]> {
    return this.#isImporting() ? rows : await this.#destroyLayers(rows);
  }

  /** As {@linkcode #collectLayers}, whatever is being imported. */
  async #destroyLayers(rows: LifecycleRow[]): Promise<LifecycleRow[]> {
    const unneeded = unneededLayers(this.#describe(rows));
    for (const each of unneeded) await this.#destroy(each);
    return unneeded.length === 0 ? rows : await this.#rows();
  }

  async #destroy({ kind, id }: Stored): Promise<boolean> {
    const { zfs, builder, layout, warn } = this.#options;
    using lock = tryLockWithoutRoom(layout.locks, builder.lockName(kind, id));
    if (lock === undefined) return false;
    const dataset = builder.dataset(kind, id);
    try {
      await zfs.destroy(dataset, { recursive: true, tries: 1 });
      return true;
    } catch (error) {
      if (!(error instanceof ZfsError)) throw error;
      if (error.reason === "not-found") return true;
      // The snapshot goes first: without it nothing can use what somebody has open elsewhere.
      if (error.reason === "busy" && (await zfs.list([builder.snapshot(kind, id)])).length === 0) {
        await builder.clear(kind, id);
        return true;
      }
      // A clone that was made just now, or somebody's hold, keeps it.
      const isInUse = /^(?:busy|held|has-clones)$/.test(error.reason);
      if (!isInUse) warn(`${dataset} stays: ${reasonOf(error)}`);
      return false;
    }
  }

  /** Who asks for all that can go is told what cannot, and why. */
  async #warnOfHolds(stored: readonly Stored[]): Promise<void> {
    const { zfs, builder, warn } = this.#options;
    const snapshots = stored.map(({ kind, id }) => builder.snapshot(kind, id));
    for (const { name, userrefs } of await zfs.list(snapshots, { columns: ["userrefs"] })) {
      if (Number(userrefs) > 0) {
        warn(`${name} stays: somebody holds it, \`zfs holds ${name}\` tells by which tag`);
      }
    }
  }

  #isImporting(): boolean {
    const { layout, builder } = this.#options;
    return builder.lockedTemplates().some((name) => {
      using lock = tryLockKey(layout.locks, name);
      // One that was free was left by a killed process: it is for the next import to see.
      lock?.leave();
      return lock === undefined;
    });
  }

  #describe(rows: readonly LifecycleRow[]): Stored[] {
    const { warmSeconds } = this.#options;
    return describeStore(this.#store, rows, { warmSeconds, now: Date.now() / 1000 });
  }

  async #rows(): Promise<LifecycleRow[]> {
    const { zfs, isShared = false } = this.#options;
    const rows = await zfs.list([this.#store], {
      columns: lifecycleColumns,
      depth: 2,
      types: ["filesystem"],
    });
    return isShared ? [...rows, ...await this.#clonesElsewhere()] : rows;
  }

  /** The clones that are in other stores: of these no more is known, and none is needed, than their origin. */
  async #clonesElsewhere(): Promise<LifecycleRow[]> {
    const { zfs, layout } = this.#options;
    const snapshots = await zfs.list([layout.templates], {
      columns: ["clones"],
      depth: 2,
      types: ["snapshot"],
    });
    const none = Object.fromEntries(lifecycleColumns.map((column) => [column, "-"]));
    return snapshots.flatMap(({ name: origin, clones }) =>
      clones.split(",").filter((clone) =>
        /^[^-]/.test(clone) && !clone.startsWith(`${this.#store}/`)
      )
        .map((name) => ({ ...none, name, origin }) as LifecycleRow)
    );
  }

  /** A store that is full is to be swept all the same. */
  #note(): void {
    try {
      this.#options.layout.locks.write(mark, "");
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
  }
}
