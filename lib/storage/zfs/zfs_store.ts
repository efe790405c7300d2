/**
 * The store on ZFS: an image is extracted once, into a template, and a container is a clone of it.
 *
 * Names, properties and states are described in `docs/zfs.md`. Whatever two callers may do at once
 * is decided by ZFS itself: of two clones with one name exactly one is made.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import type { Digest } from "../../oci/digest.ts";
import { existsSync } from "../../sys/exists.ts";
import { type DatasetName, lastComponent, type SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import { Zfs } from "../../zfs/zfs.ts";
import { nameTaken, noSuchContainer, noSuchTemplate } from "../container_errors.ts";
import type { ContainerName } from "../container_name.ts";
import type {
  Capabilities,
  Container,
  Ephemeral,
  EphemeralStore,
  StoredImage,
  Template,
  TemplateReference,
  TemplateRequest,
  TemplateStore,
} from "../store.ts";
import { containerDataset, decodeName } from "./dataset_names.ts";
import { Builder } from "./builder.ts";
import { explain } from "./delegation.ts";
import { Ephemerals } from "./ephemeral.ts";
import { holdersOf, unmountOrNameHolders } from "./holders.ts";
import { Layers } from "./layers.ts";
import { Layout } from "./layout.ts";
import {
  isMounted,
  makeMountPoint,
  type Mounter,
  mounterFor,
  pathOf,
  type Place,
  removeMountPoint,
} from "./mounter.ts";
import { isNoSpace, noRoom } from "./no_space.ts";
import { locateStore, type StoreLocation } from "./store_dataset.ts";
import { SharedTemplates, type Source, useSource } from "./shared_templates.ts";
import type { StoreParts, ZfsStoreOptions } from "./store_options.ts";
import { Sweeper } from "./sweeper.ts";
import { Templates } from "./templates.ts";

export type { StoreParts, ZfsStoreOptions } from "./store_options.ts";

/** Containers as clones of templates. */
export class ZfsStore implements EphemeralStore, TemplateStore {
  readonly capabilities: Capabilities = { keepsTemplates: true };
  readonly parts: StoreParts;
  readonly #location: StoreLocation;
  readonly #zfs: Zfs;
  readonly #mounter: Mounter;
  readonly #layout: Layout;
  readonly #templates: Templates;
  readonly #ephemerals: Ephemerals;
  readonly #sweeper: Sweeper;
  readonly #shared: SharedTemplates | undefined;
  readonly #keepsNothing: boolean;
  #hasFilled = false;
  readonly #warn: (message: string) => void;

  /**
   * @param path `ENROOT_DATA_PATH`, where the store's dataset is mounted
   * @throws {EnrootError} as {@linkcode locateStore}
   */
  constructor(path: string, options: ZfsStoreOptions) {
    const { warn, zfs = new Zfs(), uid = Deno.uid() ?? 0, layerChain = false } = options;
    const { warmSeconds = Infinity, threshold = 0.8, templateStore, isShared = false } = options;
    const mounter = mounterFor(uid);
    this.#location = locateStore(path, uid);
    this.#zfs = zfs;
    this.#mounter = mounter;
    this.#warn = warn;
    this.#layout = new Layout(this.#location, { zfs, mounter, warn });
    const parts = { zfs, mounter, warn, layout: this.#layout };
    const builder = new Builder(this.#location, parts);
    this.parts = { ...parts, builder, location: this.#location };
    const layers = layerChain ? new Layers({ ...parts, builder }) : undefined;
    this.#templates = new Templates({ ...parts, builder, layers, isShared });
    this.#ephemerals = new Ephemerals(this.#location, parts);
    const sweeps = { ...parts, builder, warmSeconds, threshold, isShared };
    this.#sweeper = new Sweeper(this.#location.dataset, sweeps);
    this.#keepsNothing = warmSeconds === 0;
    this.#shared = SharedTemplates.open(templateStore, this.#location, parts);
  }

  ready(): void {
    this.#mounter.ready();
  }

  async obtainTemplate(request: TemplateRequest): Promise<Template> {
    const lock = await this.#explained(() => this.#obtain(request));
    const letGo = (): Promise<void> => Promise.resolve(lock?.[Symbol.dispose]());
    return { id: request.id, [Symbol.asyncDispose]: letGo };
  }

  imageIdOf(engineId: Digest, architecture: string): Promise<Digest | undefined> {
    return this.#explained(() => this.#templates.imageIdOf(engineId, architecture));
  }

  stored(): Promise<StoredImage[]> {
    return this.#explained(() => this.#sweeper.stored());
  }

  available(): Promise<ReadonlySet<string>> {
    return this.#explained(async () => {
      const own = (await this.#sweeper.stored()).filter(({ kind }) => kind === "template");
      return new Set([...own.map(({ id }) => id), ...await this.#shared?.handed() ?? []]);
    });
  }

  prune(options: { readonly all: boolean; readonly isDryRun: boolean }): Promise<StoredImage[]> {
    return this.#explained(() => this.#sweeper.prune(options));
  }

  /** A sweep after something was filled, and otherwise every ten minutes. */
  async maintain(): Promise<void> {
    if (!this.#hasFilled && !this.#sweeper.isDue()) return;
    this.#hasFilled = false;
    try {
      await this.#sweeper.sweep();
    } catch (error) {
      this.#warn(`templates that nobody uses could not be looked for: ${reasonOf(error)}`);
    }
  }

  createContainer(
    name: ContainerName,
    template: TemplateReference,
    { replace }: { readonly replace: boolean },
  ): Promise<Container> {
    return this.#ofTemplate(template, async (source) => {
      const place = this.#place(name);
      await using undo = new AsyncDisposableStack();
      // Both programs take as long as each other, and what can be done meanwhile is done meanwhile.
      const [cloned, touched, folder] = await Promise.allSettled([
        replace ? this.#replace(place, source) : this.#clone(source, place.dataset, name),
        this.#touch(source),
        Promise.resolve().then(() => !replace && makeMountPoint(place)),
      ]);
      if (cloned.status === "rejected") {
        const { reason } = cloned;
        // Where the name is taken it is the folder of whoever took it.
        const isOurs = !(reason instanceof EnrootError && reason.code === "exists");
        if (isOurs && folder.status === "fulfilled" && folder.value) removeMountPoint(place);
        throw reason;
      }
      undo.defer(() => this.#destroy(place));
      if (folder.status === "rejected") throw folder.reason;
      if (touched.status === "rejected") this.#warnOfUse(source, touched.reason);
      await this.#mount(place);
      undo.move();
      return { name, path: pathOf(place) };
    });
  }

  /**
   * Make a finished dataset of this store a container: it gets the name, and is mounted.
   *
   * @throws {EnrootError} code `exists` when the name is taken; the dataset is as it was
   */
  adoptContainer(
    dataset: DatasetName,
    name: ContainerName,
    { replace }: { readonly replace: boolean },
  ): Promise<Container> {
    return this.#explained(async () => {
      const place = this.#place(name);
      await this.#give(dataset, place, replace);
      await this.#mount(place);
      return { name, path: pathOf(place) };
    });
  }

  createEphemeral(template: TemplateReference): Promise<Ephemeral> {
    return this.#ofTemplate(template, async (source) => {
      try {
        const [made, touched] = await Promise.allSettled([
          this.#ephemerals.make(source.snapshot),
          this.#touch(source),
        ]);
        if (made.status === "rejected") throw made.reason;
        if (touched.status === "rejected") this.#warnOfUse(source, touched.reason);
        return made.value;
      } catch (error) {
        if (isAbsent(error)) throw noSuchTemplate(source.id);
        throw error;
      }
    });
  }

  releaseEphemeral(id: string): Promise<void> {
    return this.#explained(() => this.#ephemerals.release(id));
  }

  tidyEphemerals(): Promise<void> {
    return this.#ephemerals.tidy();
  }

  container(name: ContainerName): Promise<Container | undefined> {
    return this.#explained(async () => {
      const place = this.#place(name);
      const container = { name, path: pathOf(place) };
      if (isMounted(place)) {
        if (
          this.#shared === undefined || Deno.statSync(container.path).uid === this.#location.owner
        ) {
          return container;
        }
        // Root has mounted it, and sees in it what is root's as that.
        await unmountOrNameHolders(this.#mounter, place);
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
    });
  }

  hasContainer(name: ContainerName): Promise<boolean> {
    return this.#explained(async () => {
      const place = this.#place(name);
      return isMounted(place) || await this.#exists(place.dataset);
    });
  }

  containers(): Promise<Container[]> {
    return this.#explained(async () => {
      const { dataset } = this.#location;
      const rows = await this.#zfs.list([dataset], { depth: 1, types: ["filesystem"] });
      return rows
        .filter((row) => row.name !== dataset)
        .flatMap((row) => decodeName(lastComponent(row.name as DatasetName)) ?? [])
        .map((name) => ({ name, path: pathOf(this.#place(name)) }))
        .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    });
  }

  removeContainer(name: ContainerName): Promise<void> {
    return this.#explained(async () => {
      try {
        await this.#remove(this.#place(name), name);
        if (this.#keepsNothing) this.#hasFilled = true;
      } catch (error) {
        if (error instanceof ZfsError && error.reason === "not-found") throw noSuchContainer(name);
        throw error;
      }
    });
  }

  isLeaving(name: ContainerName): Promise<boolean> {
    return this.#explained(() => this.#ephemerals.hasAdopted(name));
  }

  #ofTemplate<T>(template: TemplateReference, make: (source: Source) => Promise<T>): Promise<T> {
    const own = (id: string): SnapshotName => {
      if (this.#layout.isKnown()) return this.#templates.snapshot(id);
      throw noSuchTemplate(id);
    };
    return this.#explained(() => useSource(template, { shared: this.#shared, own }, make));
  }

  /** For want of room everything goes that is not in use, and it is tried once more. */
  async #obtain(request: TemplateRequest): Promise<Disposable | undefined> {
    if (await this.#shared?.hand(request) === true) return undefined;
    // Several may be obtained at once: what one has filled stays filled.
    const obtain = async (): Promise<Disposable | undefined> => {
      const lock = await this.#templates.obtain(request);
      if (lock !== undefined) this.#hasFilled = true;
      return lock;
    };
    try {
      return await obtain();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#sweeper.evictIdle();
      try {
        return await obtain();
      } catch (second) {
        throw isNoSpace(second) ? await noRoom(this.#zfs, this.#location.dataset, second) : second;
      }
    }
  }

  #place(name: ContainerName): Place {
    const { dataset, path } = this.#location;
    return { dataset: containerDataset(dataset, name), store: path, below: name };
  }

  async #clone({ id, snapshot }: Source, dataset: DatasetName, name: string): Promise<void> {
    try {
      await this.#zfs.clone(snapshot, dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "exists") throw nameTaken(name);
      if (isAbsent(error)) throw noSuchTemplate(id);
      throw error;
    }
  }

  /** The new one is complete under another name before the old one goes. */
  async #replace(place: Place, { id, snapshot }: Source): Promise<void> {
    try {
      await using next = await this.#ephemerals.makeNameless(snapshot);
      await this.#give(next.dataset, place, true);
      next.named();
    } catch (error) {
      if (isAbsent(error)) throw noSuchTemplate(id);
      throw error;
    }
  }

  /** Rename a dataset to a container's, whose place it may take. */
  async #give(next: DatasetName, place: Place, replace: boolean): Promise<void> {
    if (replace && await this.#exists(place.dataset)) await this.#remove(place, place.below);
    try {
      await this.#zfs.rename(next, place.dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "exists") throw nameTaken(place.below);
      throw error;
    }
  }

  async #mount(place: Place): Promise<void> {
    makeMountPoint(place);
    await this.#mounter.mount(place);
  }

  /** Destroy a container, or take it out of the way when it runs. */
  async #remove(place: Place, name: string): Promise<void> {
    try {
      await this.#destroy(place);
    } catch (error) {
      if (!(error instanceof ZfsError && error.reason === "busy")) throw error;
      const holders = holdersOf(place.dataset, pathOf(place));
      await this.#ephemerals.adopt(place.dataset, name);
      removeMountPoint(place);
      this.#warn(`container '${name}' is still in use by ${holders}: it goes when that has ended`);
    }
  }

  async #destroy(place: Place): Promise<void> {
    await unmountOrNameHolders(this.#mounter, place);
    // First, because without its folder it is found all the same, and nobody looks for the folder alone.
    try {
      removeMountPoint(place);
    } catch (error) {
      // Somebody wrote into the folder while nothing was mounted on it.
      this.#warn(`the folder of a removed container stays: ${reasonOf(error)}`);
    }
    await this.#zfs.destroy(place.dataset, { recursive: true });
  }

  /** Note the use of a template, where that is for this user to do. */
  async #touch({ id, isOwn }: Source): Promise<void> {
    if (isOwn) await this.#templates.touch(id);
  }

  /** A use that is not noted makes a template look older than it is, no more. */
  #warnOfUse({ id }: Source, error: unknown): void {
    this.#warn(`the use of template ${id} is not noted: ${reasonOf(error)}`);
  }

  async #exists(dataset: DatasetName): Promise<boolean> {
    return (await this.#zfs.list([dataset])).length > 0;
  }

  /** Whatever ZFS refuses for want of permission, with what an administrator has to do. */
  async #explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explain(error, this.#location);
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof ZfsError && error.reason === "not-found";
}
