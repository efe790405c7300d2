/**
 * The store on ZFS: an image is extracted once, into a template, and a container is a clone of it.
 *
 * Names, properties and states are described in `docs/zfs.md`.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import type { Digest } from "../../oci/digest.ts";
import type { DatasetName, SnapshotName } from "../../zfs/dataset.ts";
import { Zfs } from "../../zfs/zfs.ts";
import { noSuchTemplate } from "../container_errors.ts";
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
import { Builder } from "./builder.ts";
import { Containers, isAbsent, type Replacing, useNotNoted } from "./containers.ts";
import { explain } from "./delegation.ts";
import { Ephemerals } from "./ephemeral.ts";
import { Layers } from "./layers.ts";
import { Layout } from "./layout.ts";
import { type Mounter, mounterFor } from "./mounter.ts";
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
  readonly #containers: Containers;
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
    const builder = new Builder(this.#location, { ...parts, uid });
    this.parts = { ...parts, builder, location: this.#location };
    const layers = layerChain ? new Layers({ ...parts, builder }) : undefined;
    this.#templates = new Templates({ ...parts, builder, layers, isShared });
    this.#ephemerals = new Ephemerals(this.#location, parts);
    const ephemerals = this.#ephemerals;
    const sweeps = { ...parts, builder, ephemerals, warmSeconds, threshold, isShared };
    this.#sweeper = new Sweeper(this.#location.dataset, sweeps);
    this.#keepsNothing = warmSeconds === 0;
    this.#shared = SharedTemplates.open(templateStore, this.#location, parts);
    this.#containers = new Containers(this.#location, {
      ...parts,
      ephemerals,
      hasShared: this.#shared !== undefined,
    });
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
  async maintain({ isAwaited } = { isAwaited: false }): Promise<void> {
    if (!this.#hasFilled && (isAwaited || !this.#sweeper.isDue())) return;
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
    { replace }: Replacing,
  ): Promise<Container> {
    return this.#ofTemplate(template, (source) => {
      const touch = (): Promise<void> => this.#touch(source);
      return this.#containers.make(source, name, { replace, touch });
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
    options: Replacing,
  ): Promise<Container> {
    return this.#explained(() => this.#containers.adopt(dataset, name, options));
  }

  createEphemeral(template: TemplateReference): Promise<Ephemeral> {
    return this.#ofTemplate(template, async (source) => {
      try {
        const [made, touched] = await Promise.allSettled([
          this.#ephemerals.make(source.snapshot),
          this.#touch(source),
        ]);
        if (made.status === "rejected") throw made.reason;
        if (touched.status === "rejected") this.#warn(useNotNoted(source, touched.reason));
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
    return this.#explained(() => this.#containers.find(name));
  }

  hasContainer(name: ContainerName): Promise<boolean> {
    return this.#explained(() => this.#containers.has(name));
  }

  containers(): Promise<Container[]> {
    return this.#explained(() => this.#containers.list());
  }

  removeContainer(name: ContainerName): Promise<void> {
    return this.#explained(async () => {
      await this.#containers.remove(name);
      if (this.#keepsNothing) this.#hasFilled = true;
    });
  }

  isLeaving(name: ContainerName): Promise<boolean> {
    return this.#explained(() => this.#ephemerals.hasAdopted(name));
  }

  /** Make something of a template; for want of room it is tried once more, as when one is obtained. */
  #ofTemplate<T>(template: TemplateReference, make: (source: Source) => Promise<T>): Promise<T> {
    const own = (id: string): SnapshotName => {
      if (this.#layout.isKnown()) return this.#templates.snapshot(id);
      throw noSuchTemplate(id);
    };
    const use = (): Promise<T> => useSource(template, { shared: this.#shared, own }, make);
    return this.#explained(() => this.#withRoom("the container", use, { id: template.id }));
  }

  async #obtain(request: TemplateRequest): Promise<Disposable | undefined> {
    if (await this.#shared?.hand(request) === true) return undefined;
    return await this.#withRoom("the image", async () => {
      const lock = await this.#templates.obtain(request);
      // Several may be obtained at once: what one has filled stays filled.
      if (lock !== undefined) this.#hasFilled = true;
      return lock;
    }, { size: request.size });
  }

  /**
   * For want of room everything goes that is not in use, and it is tried once more.
   *
   * @param what in the words of the error
   * @param more.id a template that must not go
   * @param more.size as how many bytes it comes
   */
  async #withRoom<T>(
    what: string,
    work: () => Promise<T>,
    more: { readonly id?: string | undefined; readonly size?: number | undefined },
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#sweeper.evictIdle(more.id);
      try {
        return await work();
      } catch (second) {
        if (!isNoSpace(second)) throw second;
        const where = { zfs: this.#zfs, store: this.#location.dataset };
        throw await noRoom(what, where, second, more.size);
      }
    }
  }

  /** Note the use of a template, where that is for this user to do. */
  async #touch({ id, isOwn }: Source): Promise<void> {
    if (isOwn) await this.#templates.touch(id);
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
