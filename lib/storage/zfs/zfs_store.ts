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
import { childOf, type DatasetName, lastComponent } from "../../zfs/dataset.ts";
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
import { holdersOf } from "./holders.ts";
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
import { Sweeper } from "./sweeper.ts";
import { Templates } from "./templates.ts";

/** How a store is opened. */
export interface ZfsStoreOptions {
  /** Told of what went wrong beside the work. */
  readonly warn: (message: string) => void;
  /** Keep the layers of images apart, and share them between images. */
  readonly layerChain?: boolean;
  /** How long templates are kept that are not used, in seconds; by default for ever. */
  readonly warmSeconds?: number;
  /** How full a quota may be before those that are not used go, from 0 to 1. */
  readonly threshold?: number;
  readonly zfs?: Zfs;
  readonly uid?: number;
}

/** What other parts of this backend work with, which are loaded when they are needed. */
export interface StoreParts {
  readonly location: StoreLocation;
  readonly zfs: Zfs;
  readonly mounter: Mounter;
  readonly layout: Layout;
  readonly builder: Builder;
  readonly warn: (message: string) => void;
}

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
  readonly #keepsNothing: boolean;
  #hasFilled = false;
  readonly #warn: (message: string) => void;

  /**
   * @param path `ENROOT_DATA_PATH`, where the store's dataset is mounted
   * @throws {EnrootError} as {@linkcode locateStore}
   */
  constructor(path: string, options: ZfsStoreOptions) {
    const { warn, zfs = new Zfs(), uid = Deno.uid() ?? 0, layerChain = false } = options;
    const { warmSeconds = Infinity, threshold = 0.8 } = options;
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
    this.#templates = new Templates({ ...parts, builder, layers });
    this.#ephemerals = new Ephemerals(this.#location, parts);
    const sweeps = { ...parts, builder, warmSeconds, threshold };
    this.#sweeper = new Sweeper(this.#location.dataset, sweeps);
    this.#keepsNothing = warmSeconds === 0;
  }

  ready(): void {
    this.#mounter.ready();
  }

  async obtainTemplate(request: TemplateRequest): Promise<Template> {
    await this.#explained(() => this.#obtain(request));
    return { id: request.id, [Symbol.asyncDispose]: () => Promise.resolve() };
  }

  imageIdOf(engineId: Digest, architecture: string): Promise<Digest | undefined> {
    return this.#explained(() => this.#templates.imageIdOf(engineId, architecture));
  }

  stored(): Promise<StoredImage[]> {
    return this.#explained(() => this.#sweeper.stored());
  }

  prune(
    options: { readonly all: boolean; readonly isDryRun: boolean },
  ): Promise<StoredImage[]> {
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
    return this.#explained(async () => {
      const { id } = template;
      if (id === undefined || !this.#layout.isKnown()) throw noSuchTemplate(id);
      const place = this.#place(name);
      await using undo = new AsyncDisposableStack();
      // Both programs take as long as each other, and what can be done meanwhile is done meanwhile.
      const [cloned, touched, folder] = await Promise.allSettled([
        replace ? this.#replace(place, id) : this.#clone(id, place.dataset, name),
        this.#templates.touch(id),
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
      if (touched.status === "rejected") this.#warnOfUse(id, touched.reason);
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

  createEphemeral({ id }: TemplateReference): Promise<Ephemeral> {
    return this.#explained(async () => {
      if (id === undefined || !this.#layout.isKnown()) throw noSuchTemplate(id);
      try {
        const [made, touched] = await Promise.allSettled([
          this.#ephemerals.make(this.#templates.snapshot(id)),
          this.#templates.touch(id),
        ]);
        if (made.status === "rejected") throw made.reason;
        if (touched.status === "rejected") this.#warnOfUse(id, touched.reason);
        return made.value;
      } catch (error) {
        if (error instanceof ZfsError && error.reason === "not-found") throw noSuchTemplate(id);
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
      if (isMounted(place)) return container;
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

  /** For want of room everything goes that is not in use, and it is tried once more. */
  async #obtain(request: TemplateRequest): Promise<void> {
    // Several may be obtained at once: what one has filled stays filled.
    const obtain = async (): Promise<void> => {
      if (await this.#templates.obtain(request)) this.#hasFilled = true;
    };
    try {
      await obtain();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#sweeper.evictIdle();
      try {
        await obtain();
      } catch (second) {
        throw isNoSpace(second) ? await noRoom(this.#zfs, this.#location.dataset, second) : second;
      }
    }
  }

  #place(name: ContainerName): Place {
    const { dataset, path } = this.#location;
    return { dataset: containerDataset(dataset, name), store: path, below: name };
  }

  async #clone(id: string, dataset: DatasetName, name: string): Promise<void> {
    try {
      await this.#zfs.clone(this.#templates.snapshot(id), dataset);
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "exists") throw nameTaken(name);
      if (error instanceof ZfsError && error.reason === "not-found") throw noSuchTemplate(id);
      throw error;
    }
  }

  /** The new one is complete under another name before the old one goes. */
  async #replace(place: Place, id: string): Promise<void> {
    await this.#layout.ensureEphemeral();
    const next = childOf(this.#layout.ephemeral, crypto.randomUUID());
    await using undo = new AsyncDisposableStack();
    await this.#clone(id, next, next);
    undo.defer(() => this.#zfs.destroy(next));
    await this.#give(next, place, true);
    undo.move();
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
    await this.#unmount(place);
    await this.#zfs.destroy(place.dataset, { recursive: true });
    try {
      removeMountPoint(place);
    } catch (error) {
      // Somebody wrote into the folder while nothing was mounted on it.
      this.#warn(`the folder of a removed container stays: ${reasonOf(error)}`);
    }
  }

  async #unmount(place: Place): Promise<void> {
    try {
      await this.#mounter.unmount(place);
    } catch (error) {
      // The helper's words, and strerror(3) of EBUSY.
      if (!/in use by a process|resource busy/.test(reasonOf(error))) throw error;
      const holders = holdersOf(place.dataset, pathOf(place));
      throw new EnrootError(
        "in-use",
        `cannot unmount ${pathOf(place)}, which is in use by ${holders}: end it, and try again`,
        { cause: error },
      );
    }
  }

  /** A use that is not noted makes a template look older than it is, no more. */
  #warnOfUse(id: string, error: unknown): void {
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
