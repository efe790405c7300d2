/**
 * The store: where templates and containers live. One contract, one suite of tests
 * (`tests/storage_suite.ts`), one implementation a backend.
 *
 * A template is a finished, read-only image; a container is a writable root filesystem made from
 * one. A template is built in a folder that nobody else sees, and is there for all at once when it
 * is whole. Where a name is asked for by several callers at once, exactly one of them makes it.
 * What a killed process leaves half-made is never used, and is removed by a later command.
 *
 * @module
 */

import type { ChainId } from "../oci/chain_id.ts";
import type { DiffId, Digest } from "../oci/digest.ts";
import type { SnapshotName } from "../zfs/dataset.ts";
import type { ContainerName } from "./container_name.ts";

/** What a backend can do beyond the contract. */
export interface Capabilities {
  /** Templates stay and are shared by containers; otherwise one is used up by its first container. */
  readonly keepsTemplates: boolean;
}

/** What is known of where an image came from; kept with a template that is shared. */
export interface Provenance {
  /** Its URI in full, without credentials. */
  readonly uri?: string;
  /** `sha256:…`, absent where it has no manifest. */
  readonly manifestDigest?: string;
  /** As in OCI: `amd64`. */
  readonly architecture?: string;
  /** What the engine it came from knows it by, where that is not its image ID. */
  readonly engineId?: Digest;
  /** As whom the caller got its manifest from a registry just now; absent: it was not asked for. */
  readonly access?: "anonymous" | "authorized";
}

/** A template by its name. */
export interface TemplateReference {
  /** What it was obtained as; `undefined` where it cannot be shared. */
  readonly id: string | undefined;
}

/**
 * A finished image. Disposing of it lets go of it: where templates are not kept, one that no
 * container was made of is removed.
 */
export interface Template extends TemplateReference, AsyncDisposable {}

/** An image that is wanted as a template. */
export interface TemplateRequest {
  /** The image ID or the digest of the image file in 64 hex digits; the same id is the same content. */
  readonly id: string;
  readonly provenance: Provenance;
  /** As how many bytes it comes, mostly compressed, where that is known. */
  readonly size?: number | undefined;
  /** Ends waiting and building. */
  readonly signal: AbortSignal;

  /**
   * Fills an empty folder of the caller's own, named by an absolute path, with the image. Called when
   * there is no template of this id; again, in another folder, when there was no room and some could
   * be made.
   */
  build(root: string): Promise<void>;

  /**
   * In place of `build`, for the store on ZFS: makes the template's dataset by receiving this snapshot,
   * and checks it.
   *
   * @returns user properties of the template, on top of its provenance
   */
  readonly receive?: (snapshot: SnapshotName) => Promise<Readonly<Record<string, string>>>;

  /** The same, layer by layer, for a store that keeps those apart; it then calls these functions. */
  readonly layered?: LayeredBuild;

  /** Told once when another process is building the same template, and who it is. */
  onWait?(holder: string): void;
}

/** One layer of an image. */
export interface StoreLayer {
  /** Of it and all below it. */
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** Of its stored bytes, where they have one. */
  readonly digest?: Digest;
}

/** How an image is built layer by layer. */
export interface LayeredBuild {
  /** Lowest first. */
  readonly layers: readonly StoreLayer[];
  /** Set when layers are applied in another way than usual, which makes other trees. */
  readonly variant?: string;

  /** Called when it is known which layers are missing: this one and all above it. */
  begin(first: number): void;

  /** Apply one layer on top of those below it, which are in the folder. Checked when it returns. */
  apply(index: number, root: string): Promise<void>;

  /** Add what is no layer's; called once all layers are in the folder. */
  finish(root: string): Promise<void>;
}

/** A writable root filesystem with a name. */
export interface Container {
  readonly name: ContainerName;
  /** Its root folder, absolute. */
  readonly path: string;
}

/** The store of one user. */
export interface Store {
  readonly capabilities: Capabilities;

  /**
   * Make sure that the store can be used, as far as that can be told at once.
   *
   * @throws {EnrootError} naming what is missing, and what to do about it
   */
  ready(): void;

  /**
   * The template of this id: the one there is, or one that is built. Of several that ask for one id
   * at once exactly one builds, and the others wait for it. A template is visible when it is whole,
   * not before; when building fails nothing is left of it.
   *
   * @throws {EnrootError} when the store cannot be written; what `build` throws
   */
  obtainTemplate(request: TemplateRequest): Promise<Template>;

  /**
   * The image ID of a template that was obtained with this engine ID for this architecture, so that
   * the image need not be read to know it. No more than a hint: whoever reads the image checks it.
   *
   * @returns `undefined` when that is not remembered
   */
  imageIdOf(engineId: Digest, architecture: string): Promise<Digest | undefined>;

  /**
   * Do what keeps the store small, when it is time: for the end of a command, after its result. What
   * goes wrong is a warning.
   *
   * @param options.isAwaited somebody waits for what comes next: it is time only after something was filled
   */
  maintain(options?: { readonly isAwaited: boolean }): Promise<void>;

  /**
   * Make a container of a template.
   *
   * @param template where templates are kept, its id is enough
   * @param options.replace take the place of a container of that name, which is there until the new
   * one is complete
   * @throws {EnrootError} code `exists` when the name is taken, `no-template` when there is none of
   * that id
   */
  createContainer(
    name: ContainerName,
    template: TemplateReference,
    options: { readonly replace: boolean },
  ): Promise<Container>;

  /** The container of this name, its root folder in place; `undefined` when there is none. */
  container(name: ContainerName): Promise<Container | undefined>;

  /** Whether there is a container of this name; nothing is done to it. */
  hasContainer(name: ContainerName): Promise<boolean>;

  /** All containers, sorted by name; a root folder may be empty until the container is asked for. */
  containers(): Promise<Container[]>;

  /**
   * Remove a container with all its files. Where it cannot be destroyed because it runs, it loses its
   * name, a warning says who uses it, and a later command destroys it.
   *
   * @throws {EnrootError} code `not-found` when there is none of that name
   */
  removeContainer(name: ContainerName): Promise<void>;

  /** Whether a container of this name was removed, and is still to be destroyed. */
  isLeaving(name: ContainerName): Promise<boolean>;
}

/** A throw-away container, in place. Disposing of it destroys it. */
export interface Ephemeral extends AsyncDisposable {
  /** What {@linkcode EphemeralStore.releaseEphemeral} takes. */
  readonly id: string;
  /** Its root folder, absolute. */
  readonly path: string;
  /** The descriptor of its lock: whoever has it open last is to destroy it. Closes on exec. */
  readonly lock: number;
}

/** A store that also makes throw-away containers, for `start IMAGE`. */
export interface EphemeralStore extends Store {
  /**
   * Make a throw-away container of a template.
   *
   * @throws {EnrootError} code `no-template` when there is none of that id
   */
  createEphemeral(template: TemplateReference): Promise<Ephemeral>;

  /**
   * Destroy one whose last process has ended; the caller has its lock. The kernel may still be about
   * to let go of it: that is waited for.
   *
   * @throws {EnrootError} when it cannot be destroyed; `tidyEphemerals` tries again
   */
  releaseEphemeral(id: string): Promise<void>;

  /**
   * Destroy those that nobody is to destroy any more, because the watcher was killed. Costs next to
   * nothing when there are none; what goes wrong is a warning.
   */
  tidyEphemerals(): Promise<void>;
}

/** A template or a layer that a store keeps. */
export interface StoredImage {
  readonly kind: "template" | "layer";
  /** The template's id, or the layer's chain ID in hex. */
  readonly id: string;
  /** live: something was made of it; warm: used lately; cold: neither. */
  readonly state: "live" | "warm" | "cold";
  /** Bytes that would be free without it. */
  readonly used: number;
  /** Seconds since the epoch; 0 where it is not known. */
  readonly lastUsed: number;
  /** Where it was imported from first. */
  readonly uri: string | undefined;
}

/** A store that keeps templates, and shows and removes them. */
export interface TemplateStore extends Store {
  /** All that is there. */
  stored(): Promise<readonly StoredImage[]>;

  /** The ids of all templates that containers can be made of: also those that users share. */
  available(): Promise<ReadonlySet<string>>;

  /**
   * Remove what is cold, never what is in use; layers go with the last template that needs them.
   *
   * @param options.all what is warm, too
   * @param options.isDryRun only say what would go
   * @returns what is gone, or would be
   */
  prune(
    options: { readonly all: boolean; readonly isDryRun: boolean },
  ): Promise<readonly StoredImage[]>;
}

/** Whether a store keeps templates. */
export function showsTemplates(store: Store): store is TemplateStore {
  return "stored" in store;
}

/** Whether a store makes throw-away containers. */
export function makesEphemerals(store: Store): store is EphemeralStore {
  return "createEphemeral" in store;
}
