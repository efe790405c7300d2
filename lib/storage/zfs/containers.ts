/**
 * Containers: datasets right below the store's, each the clone of a template.
 *
 * Whatever two callers may do at once is decided by ZFS itself: of two clones with one name exactly one
 * is made.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { existsSync } from "../../sys/exists.ts";
import { mounts } from "../../sys/mountinfo.ts";
import { type DatasetName, lastComponent } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import { nameTaken, noSuchContainer, noSuchTemplate } from "../container_errors.ts";
import { type ContainerName, parseContainerName } from "../container_name.ts";
import type { Container } from "../store.ts";
import { containerDataset, decodeName, encodeName } from "./dataset_names.ts";
import type { Ephemerals, Nameless } from "./ephemeral.ts";
import { holdersOf, unmountOrNameHolders } from "./holders.ts";
import {
  isMounted,
  makeMountPoint,
  type Mounter,
  pathOf,
  type Place,
  removeMountPoint,
} from "./mounter.ts";
import type { Source } from "./shared_templates.ts";
import type { StoreLocation } from "./store_dataset.ts";

/** What they are made with. */
export interface ContainersOptions {
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly ephemerals: Ephemerals;
  readonly warn: (message: string) => void;
  /** Whether some may be clones of templates that root lends. */
  readonly hasShared: boolean;
}

/** From how many mounted datasets on a list is made without asking ZFS of all. */
const many = 100;

/** Whether a container may take the place of one that is there. */
export interface Replacing {
  readonly replace: boolean;
}

/** The containers of a store. */
export class Containers {
  readonly #store: StoreLocation;
  readonly #options: ContainersOptions;

  constructor(store: StoreLocation, options: ContainersOptions) {
    this.#store = store;
    this.#options = options;
  }

  /**
   * Make one of a template, and mount it.
   *
   * @param touch notes the use of the template, meanwhile; that it fails is a warning
   * @throws {EnrootError} code `exists` when the name is taken, `no-template` when there is no such
   * template; {@linkcode ZfsError}. Nothing is left of it then
   */
  async make(
    source: Source,
    name: ContainerName,
    { replace, touch }: Replacing & { readonly touch: () => Promise<void> },
  ): Promise<Container> {
    const place = this.#place(name);
    await using undo = new AsyncDisposableStack();
    // Both programs take as long as each other, and what can be done meanwhile is done meanwhile.
    const [cloned, touched, folder] = await Promise.allSettled([
      replace ? this.#replace(place, source) : this.#clone(source, place),
      touch(),
      Promise.resolve().then(() => !replace && makeMountPoint(place)),
    ]);
    if (cloned.status === "rejected") {
      const { reason } = cloned;
      // Where the name is taken it is the folder of whoever took it.
      const isOurs = !(reason instanceof EnrootError && reason.code === "exists");
      if (isOurs && folder.status === "fulfilled" && folder.value) removeMountPoint(place);
      throw reason;
    }
    // What has taken the place of another one stays: it is mounted when it is needed.
    if (!replace) undo.defer(() => this.#destroy(place));
    if (folder.status === "rejected") throw folder.reason;
    if (touched.status === "rejected") this.#options.warn(useNotNoted(source, touched.reason));
    await this.#mount(place);
    undo.move();
    return { name, path: pathOf(place) };
  }

  /**
   * Give a finished dataset of this store a container's name, and mount it.
   *
   * @throws {EnrootError} code `exists` when the name is taken; the dataset is as it was
   */
  async adopt(
    dataset: DatasetName,
    name: ContainerName,
    { replace }: Replacing,
  ): Promise<Container> {
    const place = this.#place(name);
    if (replace) {
      await this.#giveNameless(await this.#options.ephemerals.takeNameless(dataset), place);
    } else await this.#give(dataset, place);
    await this.#mount(place);
    return { name, path: pathOf(place) };
  }

  /** One by its name, mounted; `undefined` when there is none. @throws {EnrootError} */
  async find(name: ContainerName): Promise<Container | undefined> {
    const place = this.#place(name);
    const container = { name, path: pathOf(place) };
    if (isMounted(place)) {
      const isRight = !this.#options.hasShared ||
        Deno.statSync(container.path).uid === this.#store.owner;
      if (isRight) return container;
      // Root has mounted it, and sees in it what is root's as that.
      await unmountOrNameHolders(this.#options.mounter, place);
    }
    // After a reboot nothing is mounted. A mount point says that there was a container; whether
    // there still is, ZFS is asked only when it cannot be mounted.
    try {
      if (existsSync(container.path)) {
        await this.#mount(place);
        return container;
      }
    } catch (error) {
      if (await this.#exists(place.dataset)) throw error;
      return undefined;
    }
    if (!await this.#exists(place.dataset)) return undefined;
    await this.#mount(place);
    return container;
  }

  /** Whether there is one of this name; it is not mounted. @throws {ZfsError} */
  async has(name: ContainerName): Promise<boolean> {
    const place = this.#place(name);
    return isMounted(place) || await this.#exists(place.dataset);
  }

  /**
   * All, by name.
   *
   * What ZFS takes grows with their number. Where there are many they are told by their folders and the kernel's
   * table of mounts, and ZFS is asked only of those that are not mounted. One without its folder, whose removal
   * was killed, is not among them then.
   *
   * @throws {ZfsError}
   */
  async list(): Promise<Container[]> {
    const names = await this.#ofMany() ?? (await this.#children([this.#store.dataset], 1));
    return names
      .map((name) => ({ name, path: `${this.#store.path}/${name}` }))
      .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }

  /** The containers of a store with many that are mounted; `undefined` where ZFS is better asked of all. */
  async #ofMany(): Promise<ContainerName[] | undefined> {
    const { dataset, path } = this.#store;
    const mounted = new Map(
      mounts().filter(({ type, root }) => type === "zfs" && root === "/")
        .map(({ mountPoint, source }) => [mountPoint, source]),
    );
    if (mounted.size < many) return undefined;
    const there: ContainerName[] = [];
    const rest: DatasetName[] = [];
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      const folder = isDirectory ? asContainerName(name) : undefined;
      if (folder === undefined) continue;
      if (mounted.get(`${path}/${name}`) === `${dataset}/${encodeName(folder)}`) there.push(folder);
      else rest.push(...datasetsOf(dataset, folder));
    }
    if (rest.length > there.length) return undefined;
    return [...there, ...await this.#children(rest, 0)];
  }

  /** The names of containers among datasets, or below them. */
  async #children(datasets: readonly DatasetName[], depth: number): Promise<ContainerName[]> {
    const rows = await this.#options.zfs.list(datasets, { depth, types: ["filesystem"] });
    return rows.filter(({ name }) => name !== this.#store.dataset)
      .flatMap(({ name }) => decodeName(lastComponent(name as DatasetName)) ?? []);
  }

  /**
   * Destroy one; one that is in use loses its name now, and goes later.
   *
   * @throws {EnrootError} code `not-found`; {@linkcode ZfsError}
   */
  async remove(name: ContainerName): Promise<void> {
    try {
      await this.#remove(this.#place(name));
    } catch (error) {
      if (isAbsent(error)) throw noSuchContainer(name);
      throw error;
    }
  }

  #place(name: ContainerName): Place {
    const { dataset, path } = this.#store;
    return { dataset: containerDataset(dataset, name), store: path, below: name };
  }

  async #clone({ id, snapshot }: Source, { dataset, below }: Place): Promise<void> {
    try {
      await this.#options.zfs.clone(snapshot, dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "exists") throw nameTaken(below);
      if (isAbsent(error)) throw noSuchTemplate(id);
      throw error;
    }
  }

  /** The new one is complete under another name before the old one goes. */
  async #replace(place: Place, { id, snapshot }: Source): Promise<void> {
    const making = this.#options.ephemerals.makeNameless(snapshot).catch((error) => {
      throw isAbsent(error) ? noSuchTemplate(id) : error;
    });
    await this.#giveNameless(await making, place);
  }

  /** Have a dataset take the place of a container, or of none. */
  async #giveNameless(nameless: Nameless, place: Place): Promise<void> {
    await using next = nameless;
    if (await this.#exists(place.dataset)) {
      next.replaces(place.dataset);
      try {
        await this.#remove(place);
      } catch (error) {
        // Somebody else was faster.
        if (!isAbsent(error)) throw error;
      }
    }
    await this.#give(next.dataset, place);
    next.named();
  }

  /** Rename a dataset to a container's. */
  async #give(next: DatasetName, place: Place): Promise<void> {
    try {
      await this.#options.zfs.rename(next, place.dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "exists") throw nameTaken(place.below);
      throw error;
    }
  }

  async #mount(place: Place): Promise<void> {
    makeMountPoint(place);
    await this.#options.mounter.mount(place);
  }

  /** Destroy a container, or take it out of the way when it runs. */
  async #remove(place: Place): Promise<void> {
    try {
      await this.#destroy(place);
    } catch (error) {
      if (!(error instanceof ZfsError && /^(?:busy|held)$/.test(error.reason))) throw error;
      const held = await this.#heldSnapshot(place.dataset);
      const holders = held === undefined ? holdersOf(place.dataset, pathOf(place)) : "";
      const dataset = await this.#options.ephemerals.adopt(place.dataset, place.below);
      removeMountPoint(place);
      const reason = held === undefined
        ? `is still in use by ${holders}: it goes when that has ended`
        : `has a snapshot that somebody holds: it goes when that is released, ` +
          `\`zfs holds ${dataset}@${held}\` tells by which tag it is held`;
      this.#options.warn(`container '${place.below}' ${reason}`);
    }
  }

  /** The short name of a snapshot with a hold, which keeps a dataset as long as nobody releases it. */
  async #heldSnapshot(dataset: DatasetName): Promise<string | undefined> {
    const rows = await this.#options.zfs.list([dataset], {
      depth: 1,
      types: ["snapshot"],
      columns: ["userrefs"],
    });
    const held = rows.find(({ userrefs }) => Number(userrefs) > 0);
    return held?.name.slice(dataset.length + 1);
  }

  async #destroy(place: Place): Promise<void> {
    await unmountOrNameHolders(this.#options.mounter, place);
    // First: who is killed in between leaves a container that its name still finds. Nobody looks for a folder.
    try {
      removeMountPoint(place);
    } catch (error) {
      // Somebody wrote into the folder while nothing was mounted on it.
      this.#options.warn(`the folder of a removed container stays: ${reasonOf(error)}`);
    }
    await this.#options.zfs.destroy(place.dataset, { recursive: true });
  }

  async #exists(dataset: DatasetName): Promise<boolean> {
    return (await this.#options.zfs.list([dataset])).length > 0;
  }
}

function asContainerName(folder: string): ContainerName | undefined {
  try {
    return parseContainerName(folder);
  } catch {
    return undefined;
  }
}

/** The dataset that a container of this name would have; none where ZFS has no room for the name. */
function datasetsOf(store: DatasetName, name: ContainerName): DatasetName[] {
  try {
    return [containerDataset(store, name)];
  } catch {
    return [];
  }
}

/** A use that is not noted makes a template look older than it is, no more. */
export function useNotNoted({ id }: Source, error: unknown): string {
  return `the use of template ${id} is not noted: ${reasonOf(error)}`;
}

/** Whether a failure is that something is not there. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ZfsError && error.reason === "not-found";
}
