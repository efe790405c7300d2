/**
 * The store: where templates and containers live. One contract, one suite of tests
 * (`tests/storage_suite.ts`), one implementation a backend.
 *
 * A template is a finished, read-only image; a container is a writable root filesystem made from
 * one. A template is built in a folder that nobody else sees, and is there for all at once when it
 * is committed. Where a name is asked for by several callers at once, exactly one of them makes it.
 * What a killed process leaves half-made is never used, and is removed by a later command.
 *
 * @module
 */

import type { ContainerName } from "./container_name.ts";

/** What a backend can do beyond the contract. */
export interface Capabilities {
  /** Templates stay and are shared by containers; otherwise one is used up by its first container. */
  readonly keepsTemplates: boolean;
}

/** A finished image. */
export interface Template {
  /** What it was prepared as; `undefined` where it cannot be shared. */
  readonly id: string | undefined;
}

/** A template in the making. Disposing of it before `commit` leaves nothing behind. */
export interface PreparedTemplate extends AsyncDisposable {
  /** An empty folder of the caller's own, for the root filesystem; absolute. */
  readonly path: string;

  /**
   * Finish it: from here on it is visible under its id, whole. Call it at most once.
   *
   * @throws {EnrootError} when it cannot be made visible; then it is as if never prepared
   */
  commit(): Promise<Template>;
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

  /** The template of this id, `undefined` when there is none to share. */
  template(id: string): Promise<Template | undefined>;

  /**
   * Begin a template.
   *
   * @param id 64 hex digits: the image ID or the digest of the image file; a backend that keeps no
   * templates needs none
   * @throws {EnrootError} when the store cannot be written
   */
  prepareTemplate(id?: string): Promise<PreparedTemplate>;

  /**
   * Make a container of a template.
   *
   * @param options.replace remove a container of that name first
   * @throws {EnrootError} code `exists` when the name is taken
   */
  createContainer(
    name: ContainerName,
    template: Template,
    options: { readonly replace: boolean },
  ): Promise<Container>;

  /** The container of this name, `undefined` when there is none. */
  container(name: ContainerName): Promise<Container | undefined>;

  /** All containers, sorted by name. */
  containers(): Promise<Container[]>;

  /**
   * Remove a container with all its files.
   *
   * @throws {EnrootError} code `not-found` when there is none of that name
   */
  removeContainer(name: ContainerName): Promise<void>;
}
