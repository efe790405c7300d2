/**
 * The folders of a store, and the small files in them: locks, and marks of what was done.
 *
 * Root may be at work in a user's store: there, whatever is in a folder, and the folder itself, may have
 * become a symlink, a pipe or a mount point at any moment. So everything is reached by descriptors, no link is
 * followed and no mount entered, only plain files with this one name are opened, and what root makes is
 * given to the store's owner.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { AT, close, E, mkdirAt, must, O, openAt, openSameMount, unlinkAt } from "../../sys/at.ts";
import { keepOnExec } from "../../sys/exec.ts";
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
      using root = this.#openStore();
      const made = mkdirAt(root.descriptor, cstring(this.#name), 0o700);
      if (made !== -E.EXIST) must(made, "mkdir", this.#name);
      const flags = O.RDONLY | O.DIRECTORY;
      const result = openSameMount(root.descriptor, cstring(this.#name), flags);
      // A folder it is, though nothing in it is reached from here.
      if (result === -E.XDEV) return;
      using folder = opened(result, this.#name);
      this.#give(folder.descriptor);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The names of all that is in it; none when it is not there. @throws {EnrootError} */
  names(): string[] {
    return this.#inside((folder) =>
      [...Deno.readDirSync(pathOf(folder))].map(({ name }) => name)
    ) ??
      [];
  }

  /** Whether something of this name is there, whatever it is. @throws {EnrootError} */
  has(name: string): boolean {
    return this.#look(name) !== undefined;
  }

  /** When a file was changed last; `undefined` when it is not there. @throws {EnrootError} */
  changed(name: string): Date | undefined {
    return this.#look(name)?.mtime ?? undefined;
  }

  /**
   * Open a plain file to read and write it.
   *
   * @returns `undefined` when it is not there, and is not to be made; or when its folder is not
   * @throws {EnrootError} code `cannot-write`, also when it is no plain file
   */
  open(name: string, { create }: { readonly create: boolean }): Deno.FsFile | undefined {
    return this.#inside((folder) => {
      for (;;) {
        const found = openSameMount(folder.descriptor, cstring(name), O.PATH | O.NOFOLLOW);
        if (found === -E.NOENT && !create) return undefined;
        if (found === -E.NOENT) {
          // Somebody else's may be there now.
          const made = this.#make(folder, name);
          if (made === undefined) continue;
          using file = opened(made, name);
          return Deno.openSync(pathOf(file), { read: true, write: true });
        }
        using file = opened(found, name);
        const { isFile, nlink } = Deno.statSync(pathOf(file));
        // Its holder has removed it just now.
        if (nlink === 0) continue;
        if (!isFile || nlink !== 1) throw new Error(`${name} is no plain file with one name`);
        this.#give(file.descriptor);
        return Deno.openSync(pathOf(file), { read: true, write: true });
      }
    });
  }

  /**
   * Make a file that is not there. Its descriptor goes to all programs that are started, unless it is closed
   * on exec later: a lock on it lasts as long as any of them.
   *
   * @throws {EnrootError} code `cannot-write`
   */
  make(name: string): number {
    const made = this.#inside((folder) => this.#make(folder, name));
    if (made === undefined) throw this.#failed(new Error(`${name} cannot be made`));
    keepOnExec(made);
    return made;
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
    return file && readStart(file);
  }

  /** Remove a file, if it is there. @throws {EnrootError} */
  remove(name: string): void {
    this.#inside((folder) => {
      const result = unlinkAt(folder.descriptor, cstring(name));
      if (result !== -E.NOENT) must(result, "unlink", name);
    });
  }

  /** Whether an open file is the one that has this name. @throws {EnrootError} */
  isNamed(file: Deno.FsFile, name: string): boolean {
    const [named, held] = [this.#look(name), file.statSync()];
    return named?.ino === held.ino && named.dev === held.dev;
  }

  #look(name: string): Deno.FileInfo | undefined {
    return this.#inside((folder) => {
      const result = openSameMount(folder.descriptor, cstring(name), O.PATH | O.NOFOLLOW);
      if (result === -E.NOENT) return undefined;
      using found = opened(result, name);
      return Deno.statSync(pathOf(found));
    });
  }

  /** @returns `undefined` when something of this name is there */
  #make(folder: Opened, name: string): number | undefined {
    const flags = O.RDWR | O.CREAT | O.EXCL;
    const result = openAt(folder.descriptor, cstring(name), flags, 0o600);
    if (result === -E.EXIST) return undefined;
    const made = must(result, "open", name);
    using undo = new DisposableStack();
    undo.defer(() => close(made));
    undo.defer(() => unlinkAt(folder.descriptor, cstring(name)));
    this.#give(made);
    undo.move();
    return made;
  }

  /** Do something in the very folder; `undefined` when that is not there. */
  #inside<T>(work: (folder: Opened) => T): T | undefined {
    try {
      using folder = this.#open();
      return work(folder);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw this.#failed(error);
    }
  }

  /** @throws {Deno.errors.NotFound} when it is not there; {@linkcode SysError} */
  #open(): Opened {
    using root = this.#openStore();
    const flags = O.RDONLY | O.DIRECTORY;
    const result = openSameMount(root.descriptor, cstring(this.#name), flags);
    if (result === -E.NOENT) throw new Deno.errors.NotFound(this.#name);
    return opened(result, this.#name);
  }

  #openStore(): Opened {
    return opened(openAt(AT.FDCWD, cstring(this.#store), O.PATH | O.DIRECTORY), this.#store);
  }

  /** What root has made is the owner's, also when it was another process that did not get to this. */
  #give(descriptor: number): void {
    if (this.#owner === undefined) return;
    const path = `/proc/self/fd/${descriptor}`;
    if (Deno.statSync(path).uid === 0) Deno.chownSync(path, this.#owner, null);
  }

  #failed(error: unknown): EnrootError {
    const path = `${this.#store}/${this.#name}`;
    return new EnrootError("cannot-write", `cannot use ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The beginning of what is in a file: all of what is ever written to these. */
export function readStart(file: Deno.FsFile): string {
  const bytes = new Uint8Array(4096);
  file.seekSync(0, Deno.SeekMode.Start);
  return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
}

/** What is open. Disposing of it closes it. */
interface Opened extends Disposable {
  readonly descriptor: number;
}

function opened(result: number, subject: string): Opened {
  const descriptor = must(result, "open", subject);
  return { descriptor, [Symbol.dispose]: () => close(descriptor) };
}

/** A path to what is open, whatever its name leads to by now. */
function pathOf({ descriptor }: Opened): string {
  return `/proc/self/fd/${descriptor}`;
}
