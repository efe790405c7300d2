/**
 * Throw-away clones: what `start IMAGE` runs in, below `.ephemeral`.
 *
 * Whoever is to destroy one holds the lock `.locks/e-<id>`: first the process that makes it, then the
 * watcher that waits for the container's end. A lock that nobody holds means that the watcher was
 * killed, and the next command destroys the clone.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import { close, E, flock, must } from "../../sys/at.ts";
import { closeOnExec } from "../../sys/exec.ts";
import type { Ephemeral } from "../store.ts";
import { childOf, type DatasetName, lastComponent, type SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import type { ContainerName } from "../container_name.ts";
import { containerDataset, decodeName, folders } from "./dataset_names.ts";
import { tryLockWithoutRoom } from "./key_lock.ts";
import type { Layout } from "./layout.ts";
import { makeMountPoint, type Mounter, pathOf, type Place, removeMountPoint } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** What they are made with. */
export interface EphemeralsOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

const lockPattern = /^e-([0-9a-f-]{36})$/;

function lockName(id: string): string {
  return `e-${id}`;
}

/**
 * A dataset that is to be a container's. Disposing of it destroys it, or gives it back, unless it has got that
 * name.
 */
export interface Nameless extends AsyncDisposable {
  readonly dataset: DatasetName;
  /**
   * A container is about to be destroyed whose name it gets then: should this process be killed in between,
   * the next command goes on.
   */
  replaces(container: DatasetName): void;
  /** It has got its name. */
  named(): void;
}

/** A clone, its lock, and what lets go of that. */
interface Begun {
  readonly id: string;
  readonly lock: number;
  readonly place: Place;
  readonly letGo: AsyncDisposableStack;
}

/** What a container was called that was removed while it was in use. */
const removedProperty = "enroot:removed";

/** How often a clone is tried that the kernel has not quite let go of: a minute. */
const releaseTries = 300;

/** The throw-away clones of a store. */
export class Ephemerals {
  readonly #store: StoreLocation;
  readonly #options: EphemeralsOptions;

  constructor(store: StoreLocation, options: EphemeralsOptions) {
    this.#store = store;
    this.#options = options;
  }

  /**
   * Make one and mount it.
   *
   * @throws {ZfsError} reason `not-found` when there is no such snapshot
   */
  async make(snapshot: SnapshotName): Promise<Ephemeral> {
    const { id, lock, place, letGo } = await this.#begin((each) => this.#clone(snapshot, each));
    await using undo = letGo;
    undo.defer(() => this.#destroy(place));
    makeMountPoint(place);
    await this.#options.mounter.mount(place);
    // The watcher is given it, and nothing else of what is started from here on.
    closeOnExec(lock);
    const owned = undo.move();
    return { id, path: pathOf(place), lock, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  /**
   * Make one that is not mounted, and is to take the place of a container.
   *
   * @throws {ZfsError} as {@linkcode make}
   */
  async makeNameless(snapshot: SnapshotName): Promise<Nameless> {
    const begun = await this.#begin((place) => this.#clone(snapshot, place));
    return this.#nameless(begun, () => this.#destroy(begun.place));
  }

  /**
   * Have a finished dataset of this store, not mounted, take the place of a container. Disposing of it gives it
   * its old name again.
   *
   * @throws {ZfsError} it is as it was then
   */
  async takeNameless(dataset: DatasetName): Promise<Nameless> {
    const { zfs, layout } = this.#options;
    await layout.ensureEphemeral();
    const begun = await this.#begin((place) => zfs.rename(dataset, place.dataset));
    return this.#nameless(begun, () => zfs.rename(begun.place.dataset, dataset));
  }

  #nameless({ id, place, letGo }: Begun, undo: () => Promise<void>): Nameless {
    const { locks } = this.#options.layout;
    let isNamed = false;
    return {
      dataset: place.dataset,
      replaces: (container) => {
        locks.write(lockName(id), `${Deno.pid}\n${lastComponent(container)}\n`);
      },
      named: () => void (isNamed = true),
      [Symbol.asyncDispose]: async () => {
        if (!isNamed) letGo.defer(undo);
        await letGo.disposeAsync();
      },
    };
  }

  /** Make one, and hold its lock until it is let go. */
  async #begin(make: (place: Place) => Promise<void>): Promise<Begun> {
    const { id, lock } = this.#lock();
    const place = this.#place(id);
    await using undo = new AsyncDisposableStack();
    undo.defer(() => close(lock));
    undo.defer(() => this.#options.layout.locks.remove(lockName(id)));
    this.#options.layout.ensureFolder(folders.ephemeral);
    await make(place);
    return { id, lock, place, letGo: undo.move() };
  }

  /** Destroy one; see `EphemeralStore`. */
  async release(id: string): Promise<void> {
    await this.#destroy(this.#place(id), releaseTries);
    this.#options.layout.locks.remove(lockName(id));
  }

  /**
   * Take over a container that is to be destroyed and is in use: it becomes one that nobody watches.
   *
   * @param name what it was called
   * @returns what it is called now
   */
  async adopt(dataset: DatasetName, name: string): Promise<DatasetName> {
    const { zfs, layout } = this.#options;
    await layout.ensureEphemeral();
    layout.ensureFolder(folders.ephemeral);
    const { id, lock } = this.#lock();
    try {
      await zfs.set(dataset, { [removedProperty]: name });
      const adopted = this.#place(id).dataset;
      await zfs.rename(dataset, adopted);
      return adopted;
    } catch (error) {
      this.#options.layout.locks.remove(lockName(id));
      throw error;
    } finally {
      close(lock);
    }
  }

  /** Whether one of this name was taken over, and is still there. */
  async hasAdopted(name: string): Promise<boolean> {
    const rows = await this.#options.zfs.list([this.#options.layout.ephemeral], {
      depth: 1,
      types: ["filesystem"],
      columns: [removedProperty],
    });
    return rows.some((row) => row[removedProperty] === name);
  }

  /**
   * Destroy those whose watchers were killed, and whose containers have ended. One that was to take the place
   * of a container that is gone takes it.
   *
   * @param datasets all there are, where that is known: some may have lost their locks
   */
  async tidy(datasets: readonly string[] = []): Promise<void> {
    const { layout, warn } = this.#options;
    const names = new Set(layout.lockNames());
    for (const dataset of datasets) {
      if (dataset.startsWith(`${layout.ephemeral}/`)) {
        names.add(lockName(dataset.slice(layout.ephemeral.length + 1)));
      }
    }
    for (const file of names) {
      const [, id] = lockPattern.exec(file) ?? [];
      if (id === undefined) continue;
      try {
        await this.#tidyOne(id);
      } catch (error) {
        // A container without its watcher, still running, keeps it busy.
        if (error instanceof ZfsError && /^(?:busy|held)$/.test(error.reason)) continue;
        warn(`cannot remove a clone that a killed process left: ${reasonOf(error)}`);
      }
    }
  }

  async #tidyOne(id: string): Promise<void> {
    using lock = tryLockWithoutRoom(this.#options.layout.locks, lockName(id));
    if (lock === undefined) return;
    try {
      const name = lock.note === undefined ? undefined : decodeName(lock.note);
      if (name !== undefined && await this.#name(id, name)) return;
      await this.#destroy(this.#place(id), 1);
    } catch (error) {
      lock.leave();
      throw error;
    }
  }

  /** Give one the name of a container that is gone. @returns whether it has it */
  async #name(id: string, name: ContainerName): Promise<boolean> {
    const { zfs } = this.#options;
    const container = containerDataset(this.#store.dataset, name);
    if ((await zfs.list([container])).length > 0) return false;
    try {
      await zfs.rename(this.#place(id).dataset, container);
      return true;
    } catch (error) {
      const isOver = error instanceof ZfsError &&
        (error.reason === "not-found" || error.reason === "exists");
      if (isOver) return false;
      throw error;
    }
  }

  async #clone(snapshot: SnapshotName, { dataset }: Place): Promise<void> {
    const { zfs, layout } = this.#options;
    try {
      await zfs.clone(snapshot, dataset);
    } catch (error) {
      if (!(error instanceof ZfsError && error.reason === "not-found")) throw error;
      // It may be the parent that is not there yet.
      await layout.ensureEphemeral();
      await zfs.clone(snapshot, dataset);
    }
  }

  async #destroy(place: Place, tries?: number): Promise<void> {
    const { zfs, mounter } = this.#options;
    try {
      await mounter.unmount(place);
      removeMountPoint(place);
      await zfs.destroy(place.dataset, {
        recursive: true,
        ...(tries === undefined ? {} : { tries }),
      });
    } catch (error) {
      if (!(error instanceof ZfsError && error.reason === "not-found")) throw error;
    }
  }

  /**
   * A new id and its lock. Whatever program is started holds that too, until it is closed on exec: where this
   * process is killed, what `zfs` is at is waited for.
   */
  #lock(): { readonly id: string; readonly lock: number } {
    const { locks } = this.#options.layout;
    for (;;) {
      const id = crypto.randomUUID();
      const lock = locks.make(lockName(id));
      const LOCK_EX_NB = 6;
      const result = flock(lock, LOCK_EX_NB);
      if (result >= 0) return { id, lock };
      close(lock);
      // Before it was locked somebody may have taken it for abandoned.
      if (result !== -E.AGAIN) must(result, "flock", locks.describe(lockName(id)));
    }
  }

  #place(id: string): Place {
    return {
      dataset: childOf(this.#options.layout.ephemeral, id),
      store: this.#store.path,
      below: `${folders.ephemeral}/${id}`,
    };
  }
}
