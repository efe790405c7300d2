/**
 * The store on plain folders: `ENROOT_DATA_PATH/NAME` is a container's root filesystem.
 *
 * A template is a staging folder, and making a container of it is a rename: nothing is copied, and
 * nothing is shared.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { SysError } from "../../sys/libc.ts";
import { renameNoReplace } from "../../sys/rename.ts";
import { createStaging, type Staging, tidyStaging } from "../../sys/staging.ts";
import { nameTaken, noSuchContainer } from "../container_errors.ts";
import { type ContainerName, parseContainerName } from "../container_name.ts";
import type {
  Capabilities,
  Container,
  Store,
  Template,
  TemplateReference,
  TemplateRequest,
} from "../store.ts";
import { closeToOthers } from "./close_to_others.ts";

const stagingFolder = ".staging";
const stagingPrefix = "s.";

/** A template of this store: usable once, by {@linkcode DirStore.createContainer}. */
class DirTemplate implements Template {
  readonly id = undefined;
  readonly #staging: Staging;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  get path(): string {
    return this.#staging.path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return attempt(() => this.#staging[Symbol.dispose]());
  }
}

/** What a store needs of whoever uses it. */
export interface DirStoreOptions {
  /** Told what was changed that may surprise. */
  readonly warn: (message: string) => void;
}

/** Root filesystems as plain folders, one container each. */
export class DirStore implements Store {
  readonly capabilities: Capabilities = { keepsTemplates: false };
  readonly #path: string;
  readonly #options: DirStoreOptions;

  /** @param path `ENROOT_DATA_PATH`; made when something is first stored */
  constructor(path: string, options: DirStoreOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** A folder is made when it is needed, and whether it can be is known then. */
  ready(): void {}

  /** @throws {EnrootError} also code `not-owner` and `open-store`, as {@linkcode closeToOthers} */
  /** What is in use can be removed here. */
  isLeaving(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** Templates are not kept, and so nothing is known of any. */
  imageIdOf(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async obtainTemplate({ build }: Pick<TemplateRequest, "build">): Promise<Template> {
    makeFolder(this.#path);
    if (closeToOthers(this.#path, stagingFolder)) {
      this.#options.warn(
        `closed ${this.#path} to other users, who could have run set-id programs of images in it`,
      );
    }
    using undo = new DisposableStack();
    const staging = undo.use(this.#createStaging());
    await build(staging.path);
    undo.move();
    return new DirTemplate(staging);
  }

  /** Nothing is kept that is not a container. */
  maintain(): Promise<void> {
    return Promise.resolve();
  }

  createContainer(
    name: ContainerName,
    template: TemplateReference,
    { replace }: { readonly replace: boolean },
  ): Promise<Container> {
    return attempt(() => {
      if (!(template instanceof DirTemplate)) {
        throw new TypeError("a template of another store was given to the dir store");
      }
      const path = `${this.#path}/${name}`;
      if (replace) this.#discard(path);
      try {
        moveFolder(template.path, path);
      } catch (error) {
        if (error instanceof SysError && error.code === "EEXIST") throw nameTaken(name);
        throw error;
      }
      return { name, path };
    });
  }

  container(name: ContainerName): Promise<Container | undefined> {
    return attempt(() => {
      const path = `${this.#path}/${name}`;
      return isFolder(path) ? { name, path } : undefined;
    });
  }

  hasContainer(name: ContainerName): Promise<boolean> {
    return attempt(() => isFolder(`${this.#path}/${name}`));
  }

  containers(): Promise<Container[]> {
    return attempt(() =>
      foldersIn(this.#path)
        .map((name) => ({ name, path: `${this.#path}/${name}` }))
        .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
    );
  }

  removeContainer(name: ContainerName): Promise<void> {
    return attempt(() => {
      if (!this.#discard(`${this.#path}/${name}`)) throw noSuchContainer(name);
    });
  }

  #createStaging(): Staging {
    const folder = `${this.#path}/${stagingFolder}`;
    makeFolder(folder);
    tidyStaging(folder, stagingPrefix);
    return createStaging(folder, stagingPrefix);
  }

  /** Take a container away: its name is free at once, its files are gone on return. */
  #discard(path: string): boolean {
    if (!isFolder(path)) return false;
    using staging = this.#createStaging();
    try {
      moveFolder(path, `${staging.path}/rootfs`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      if (error instanceof SysError && error.code === "ENOENT") return false;
      throw error;
    }
    return true;
  }
}

/** Make a folder with those above it, for the caller alone. */
function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot make ${path}: ${reasonOf(error)}: check ENROOT_DATA_PATH`,
      { cause: error },
    );
  }
}

/**
 * Move a folder to another parent, also one that its owner may not write, as `/` is in the images
 * of some distributions: the kernel asks for write permission, because `..` changes.
 */
function moveFolder(from: string, to: string): void {
  const mode = Deno.lstatSync(from).mode ?? 0o755;
  const closed = (mode & 0o200) === 0;
  if (closed) Deno.chmodSync(from, mode | 0o200);
  try {
    renameNoReplace(from, to);
  } catch (error) {
    if (closed) Deno.chmodSync(from, mode);
    throw error;
  }
  if (closed) Deno.chmodSync(to, mode);
}

/** The result of work without waits as a promise, its failure too. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}

function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new EnrootError("cannot-read", `cannot look at ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function foldersIn(path: string): ContainerName[] {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(path)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return entries.filter(({ isDirectory }) => isDirectory).flatMap(({ name }) => {
    try {
      return [parseContainerName(name)];
    } catch {
      return [];
    }
  });
}
