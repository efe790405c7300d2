/**
 * The templates that root fills for all users (`ENROOT_TEMPLATE_STORE`), as one of the users has them.
 *
 * Users are allowed to clone all of them. That each gets only what he could pull himself is kept here: a
 * template is handed to a user when he has shown, once, that he gets its image where it came from, or when
 * anybody does. That he has is remembered by a file in his own store, so that a clone asks nobody. It
 * guards against pointer files of other people's; who runs `zfs clone` himself is not asked.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { existsSync, removeIfThere } from "../../sys/exists.ts";
import {
  childOf,
  type DatasetName,
  parseDatasetName,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Zfs } from "../../zfs/zfs.ts";
import { noSuchTemplate } from "../container_errors.ts";
import type { TemplateReference, TemplateRequest } from "../store.ts";
import { folders } from "./dataset_names.ts";
import { allowCommand } from "./delegation.ts";
import { hasIdmappedMounts } from "./idmapped_mounts.ts";
import { type Layout, layoutProperty, layoutVersion } from "./layout.ts";
import { withoutIdmappedMounts } from "./mounter.ts";
import type { StoreLocation } from "./store_dataset.ts";
import { publicProperty, sharedProperty } from "./templates.ts";

/** What they are reached with. */
export interface SharedTemplatesOptions {
  readonly zfs: Zfs;
  readonly layout: Layout;
  readonly warn: (message: string) => void;
}

/** What is cloned: a template of the user's own store, or of the shared one. */
export interface Source {
  readonly id: string;
  readonly snapshot: SnapshotName;
  readonly isOwn: boolean;
}

/**
 * Make something of a template: of the shared one, if it was handed to this user or is for everybody, else
 * of his own. Where it was handed, or nothing is shared, nobody is asked beforehand.
 *
 * @param stores.own the snapshot of his own template; code `no-template` when he can have none
 * @param make code `no-template` of what it throws means that it left nothing, as there is no such snapshot
 * @throws {EnrootError} code `no-template`; what `make` throws
 */
export async function useSource<T>(
  { id }: TemplateReference,
  { shared, own }: {
    readonly shared: SharedTemplates | undefined;
    readonly own: (id: string) => SnapshotName;
  },
  make: (source: Source) => Promise<T>,
): Promise<T> {
  if (id === undefined) throw noSuchTemplate(id);
  const lent = (snapshot: SnapshotName): Promise<T> => make({ id, snapshot, isOwn: false });
  const made = await shared?.use(id, lent);
  if (made !== undefined) return made;
  try {
    return await make({ id, snapshot: own(id), isOwn: true });
  } catch (error) {
    const isGone = error instanceof EnrootError && error.code === "no-template";
    if (!isGone || shared === undefined || !await shared.handPublic(id)) throw error;
    const second = await shared.use(id, lent);
    if (second === undefined) throw error;
    return second;
  }
}

/** The shared store of templates, for the owner of a store. */
export class SharedTemplates {
  readonly #dataset: DatasetName;
  readonly #store: StoreLocation;
  readonly #options: SharedTemplatesOptions;
  #isOfUse: boolean | undefined;
  #hasSaid = false;

  private constructor(dataset: DatasetName, store: StoreLocation, options: SharedTemplatesOptions) {
    this.#dataset = dataset;
    this.#store = store;
    this.#options = options;
  }

  /**
   * Those of `ENROOT_TEMPLATE_STORE`, if there is one. ZFS is not asked.
   *
   * @param name the shared store's dataset
   * @param store the user's own
   * @throws {EnrootError} code `bad-dataset`; `no-store` when it is of another pool
   */
  static open(
    name: string | undefined,
    store: StoreLocation,
    options: SharedTemplatesOptions,
  ): SharedTemplates | undefined {
    if (name === undefined) return undefined;
    const dataset = parseDatasetName(name);
    if (`${store.dataset}/`.startsWith(`${dataset}/`)) {
      throw new EnrootError(
        "no-store",
        `the store ${store.dataset} is within ENROOT_TEMPLATE_STORE=${dataset}, which all users may clone: ` +
          "make the one that is shared elsewhere",
      );
    }
    if (poolOf(dataset) !== poolOf(store.dataset)) {
      throw new EnrootError(
        "no-store",
        `ENROOT_TEMPLATE_STORE=${dataset} is not in the pool of ${store.dataset}: a clone is always in ` +
          "the pool of its template",
      );
    }
    return new SharedTemplates(dataset, store, options);
  }

  /**
   * Make something of a template that was handed to this user.
   *
   * @param make is given the snapshot to clone; code `no-template` or `no-idmapped-mounts` of what it
   * throws mean that it left nothing, and that his own template is to be used
   * @returns what that made; `undefined` when there is no such template for him
   * @throws what `make` throws
   */
  async use<T>(id: string, make: (snapshot: SnapshotName) => Promise<T>): Promise<T | undefined> {
    if (!existsSync(this.#memory(id)) || !this.#canBeMounted()) return undefined;
    try {
      return await make(snapshotOf(this.#template(id), "pristine"));
    } catch (error) {
      if (error instanceof ZfsError && error.reason === "permission") throw this.#explained(error);
      if (!(error instanceof EnrootError)) throw error;
      if (error.code === withoutIdmappedMounts) this.#giveUp(error.message);
      else if (error.code !== "no-template") throw error;
      // Next time his own comes first.
      removeIfThere(this.#memory(id));
      return undefined;
    }
  }

  /**
   * Hand a template to this user, if there is one that he may have.
   *
   * @param request the image, and how he has shown that he gets it
   * @throws {ZfsError}
   */
  async hand({ id, provenance: { uri, access } }: TemplateRequest): Promise<boolean> {
    // What has no URI is a file of the user's own.
    if (uri === undefined || !this.#canBeMounted()) return false;
    const found = await this.#find(id);
    if (found === undefined) return false;
    // A registry gave him the manifest just now; or he has opened the very file that root had it from.
    const isShown = access !== undefined || !uri.startsWith("docker:") && found.uri === uri;
    if (!isShown && !found.isPublic) return false;
    this.#remember(id);
    return true;
  }

  /** Hand a template to this user, if there is one that anybody may have. @throws {ZfsError} */
  async handPublic(id: string): Promise<boolean> {
    if (!this.#canBeMounted()) return false;
    const found = await this.#find(id);
    if (found?.isPublic !== true) return false;
    this.#remember(id);
    return true;
  }

  /** The ids of all templates that were handed to this user, and are there. @throws {ZfsError} */
  async handed(): Promise<string[]> {
    const folder = `${this.#store.path}/${folders.handed}`;
    const files = existsSync(folder) ? [...Deno.readDirSync(folder)] : [];
    const ids = files.map(({ name }) => name).filter((name) =>
      /^[0-9a-f]{64}(-[a-z]+)?$/.test(name)
    );
    if (ids.length === 0) return [];
    const names = new Map(ids.map((id) => [snapshotOf(this.#template(id), "pristine"), id]));
    const rows = await this.#options.zfs.list([...names.keys()]);
    return rows.flatMap(({ name }) => names.get(name as SnapshotName) ?? []);
  }

  async #find(
    id: string,
  ): Promise<{ readonly uri: string; readonly isPublic: boolean } | undefined> {
    const dataset = this.#template(id);
    const snapshot = snapshotOf(dataset, "pristine");
    const rows = await this.#options.zfs.list([dataset, snapshot], {
      columns: [layoutProperty, sharedProperty, publicProperty, "enroot:uri"],
    });
    const template = rows.find(({ name }) => name === dataset);
    const isWhole = rows.some(({ name }) => name === snapshot);
    if (!isWhole || template?.[layoutProperty] !== layoutVersion) return undefined;
    // What root has filled in another way has no mark, and would not be mounted.
    if (template[sharedProperty] !== "y") return undefined;
    return { uri: template["enroot:uri"], isPublic: template[publicProperty] === "y" };
  }

  #canBeMounted(): boolean {
    this.#isOfUse ??= hasIdmappedMounts();
    if (!this.#isOfUse) this.#giveUp("this Linux or its OpenZFS has no idmapped mounts");
    return this.#isOfUse;
  }

  /** Say once why each user has to have templates of his own. */
  #giveUp(why: string): void {
    this.#isOfUse = false;
    if (this.#hasSaid) return;
    this.#hasSaid = true;
    this.#options.warn(`${why}: the templates of ${this.#dataset} are not used, but your own`);
  }

  #remember(id: string): void {
    this.#options.layout.ensureFolder(folders.handed);
    Deno.writeTextFileSync(this.#memory(id), "", { mode: 0o600 });
  }

  #memory(id: string): string {
    return `${this.#store.path}/${folders.handed}/${id}`;
  }

  #template(id: string): DatasetName {
    return childOf(childOf(this.#dataset, folders.templates), id);
  }

  #explained(error: ZfsError): EnrootError {
    return new EnrootError(
      "not-delegated",
      `${error.message}: as root, run: zfs allow -e clone ${this.#dataset}; ` +
        allowCommand(this.#store),
      { cause: error },
    );
  }
}

function poolOf(dataset: DatasetName): string {
  return dataset.replace(/\/.*/, "");
}
