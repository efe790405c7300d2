/**
 * The folders of a store, and the small files in them: locks, and marks of what was done.
 *
 * Root may be at work in a user's store: there, whatever is in a folder, and the folder itself, may have
 * become a symlink or a pipe at any moment. So everything is reached by descriptors, no link is followed,
 * and only what is a plain file is opened.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { AT, close, E, mkdirAt, must, O, openAt, openBeneath } from "../../sys/at.ts";
import { cstring } from "../../sys/libc.ts";

/** A folder. Stateless: any number may be used at once. */
export class StoreFolder {
  readonly #store: string;
  readonly #name: string;
  readonly #owner: number | undefined;

  /**
   * @param store the folder that it is in, which is nobody's to replace
   * @param name its name, one component
   * @param owner whose it is, and all that is in it, also when root makes something
   */
  constructor(store: string, name: string, owner: number = Deno.uid() ?? 0) {
    this.#store = store;
    this.#name = name;
    this.#owner = owner === Deno.uid() ? undefined : owner;
  }

  /** Where a file of it is, for people. */
  describe(name: string): string {
    return `${this.#store}/${this.#name}/${name}`;
  }

  /** Make it, if it is not there. @throws {EnrootError} code `cannot-write` */
  ensure(): void {
    try {
      using root = opened(
        openAt(AT.FDCWD, cstring(this.#store), O.PATH | O.DIRECTORY),
        this.#store,
      );
      const made = mkdirAt(root.descriptor, cstring(this.#name), 0o700);
      if (made !== -E.EXIST) must(made, "mkdir", this.#name);
      using folder = this.#open();
      if (made !== -E.EXIST) this.#give(folder.descriptor);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The names of all that is in it; none when it is not there. @throws {EnrootError} */
  names(): string[] {
    return this.#inside((path) => [...Deno.readDirSync(path)].map(({ name }) => name)) ?? [];
  }

  /** Whether something of this name is there, whatever it is. @throws {EnrootError} */
  has(name: string): boolean {
    return this.#inside((path) => Deno.lstatSync(`${path}/${name}`)) !== undefined;
  }

  /** When a file was changed last; `undefined` when it is not there. @throws {EnrootError} */
  changed(name: string): Date | undefined {
    return this.#inside((path) => Deno.lstatSync(`${path}/${name}`))?.mtime ?? undefined;
  }

  /**
   * Open a plain file to read and write it.
   *
   * @returns `undefined` when it is not there, and is not to be made
   * @throws {EnrootError} code `cannot-write`, also when it is no plain file
   */
  open(name: string, { create }: { readonly create: boolean }): Deno.FsFile | undefined {
    return this.#inside((path) => {
      const flags = O.RDWR | O.NOFOLLOW | O.NONBLOCK | O.CLOEXEC | (create ? O.CREAT : 0);
      const result = openAt(AT.FDCWD, cstring(`${path}/${name}`), flags, 0o600);
      if (result === -E.NOENT) return undefined;
      using found = opened(result, name);
      const itself = `/proc/self/fd/${found.descriptor}`;
      if (!Deno.statSync(itself).isFile) throw new Error(`${name} is no plain file`);
      if (create) this.#give(found.descriptor);
      return Deno.openSync(itself, { read: true, write: true });
    });
  }

  /**
   * Make a file that is not there.
   *
   * @returns its descriptor, which another program can be given
   * @throws {EnrootError} code `cannot-write`
   */
  make(name: string): number {
    const made = this.#inside((path) => {
      const flags = O.RDWR | O.CREAT | O.EXCL | O.CLOEXEC;
      const file = must(openAt(AT.FDCWD, cstring(`${path}/${name}`), flags, 0o600), "open", name);
      this.#give(file);
      return file;
    });
    if (made !== undefined) return made;
    throw this.#failed(new Error("it is not there"));
  }

  /** Write a file's whole content, which is made when it is not there. @throws {EnrootError} */
  write(name: string, text: string): void {
    using file = this.open(name, { create: true });
    if (file === undefined) throw this.#failed(new Error("it is not there"));
    try {
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(text));
      // What is written may be what was there.
      const now = new Date();
      file.utimeSync(now, now);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The beginning of a file's content; `undefined` when it is not there. @throws {EnrootError} */
  read(name: string): string | undefined {
    using file = this.open(name, { create: false });
    const bytes = new Uint8Array(4096);
    return file && new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  }

  /** Remove a file, if it is there. @throws {EnrootError} */
  remove(name: string): void {
    this.#inside((path) => Deno.removeSync(`${path}/${name}`));
  }

  /** Whether an open file is the one that has this name. @throws {EnrootError} */
  isNamed(file: Deno.FsFile, name: string): boolean {
    const named = this.#inside((path) => Deno.lstatSync(`${path}/${name}`));
    const held = file.statSync();
    return named?.ino === held.ino && named.dev === held.dev;
  }

  /** Do something by a path to the very folder; `undefined` when that, or what is looked for, is not there. */
  #inside<T>(work: (path: string) => T): T | undefined {
    try {
      using folder = this.#open();
      return work(`/proc/self/fd/${folder.descriptor}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw this.#failed(error);
    }
  }

  /** @throws {Deno.errors.NotFound} when it is not there; {@linkcode SysError} */
  #open(): OpenedFolder {
    using root = opened(openAt(AT.FDCWD, cstring(this.#store), O.PATH | O.DIRECTORY), this.#store);
    const result = openBeneath(root.descriptor, cstring(this.#name), O.RDONLY | O.DIRECTORY);
    if (result === -E.NOENT) throw new Deno.errors.NotFound(this.#name);
    return opened(result, this.#name);
  }

  /** Make what root has open its owner's. */
  #give(descriptor: number): void {
    if (this.#owner !== undefined) {
      Deno.chownSync(`/proc/self/fd/${descriptor}`, this.#owner, null);
    }
  }

  #failed(error: unknown): EnrootError {
    const path = `${this.#store}/${this.#name}`;
    return new EnrootError("cannot-write", `cannot use ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** An open folder or file. Disposing of it closes it. */
interface OpenedFolder extends Disposable {
  readonly descriptor: number;
}

function opened(result: number, subject: string): OpenedFolder {
  const descriptor = must(result, "open", subject);
  return { descriptor, [Symbol.dispose]: () => close(descriptor) };
}
