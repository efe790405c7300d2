/**
 * The configuration that a bundle carries: mounts, environment and hooks, the system's and the user's.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";

/** Whose it is. */
export type Owner = "system" | "user";

/** A file of it. */
export interface ConfigFile {
  readonly owner: Owner;
  /** Such as `hooks.d`. */
  readonly folder: string;
  readonly name: string;
  readonly isExecutable: boolean;
  /** Its bytes, in base64: a hook can be any program. */
  readonly content: string;
}

/** The folders, and how the names end of what counts in them. */
const endings: Readonly<Record<string, string>> = {
  "mounts.d": ".fstab",
  "environ.d": ".env",
  "hooks.d": ".sh",
};

/**
 * The files of an owner, as a start would find them.
 *
 * @param folderOf where a folder is; one that is not there holds nothing
 * @param onPrivate told of files that others may not read
 * @throws {EnrootError} code `cannot-read`
 */
export function collectConfiguration(
  owner: Owner,
  folderOf: (name: string) => string,
  onPrivate: (path: string) => void = () => {},
): ConfigFile[] {
  return Object.entries(endings).flatMap(([folder, ending]) => {
    const path = folderOf(folder);
    return namesIn(path).filter((name) => name.endsWith(ending)).sort().flatMap((name) => {
      const file = readFile(`${path}/${name}`, onPrivate);
      return file === undefined ? [] : [{ owner, folder, name, ...file }];
    });
  });
}

/**
 * Write files to a folder: below `system/` and `user/`, as a start takes them. Folders that hold nothing
 * are there too, so that nothing of the host's comes in their place.
 */
export function writeConfiguration(folder: string, files: readonly ConfigFile[]): void {
  for (const owner of ["system", "user"] satisfies Owner[]) {
    for (const name of Object.keys(endings)) {
      Deno.mkdirSync(`${folder}/${owner}/${name}`, { recursive: true, mode: 0o700 });
    }
  }
  for (const { owner, folder: place, name, isExecutable, content } of files) {
    const path = `${folder}/${owner}/${place}/${name}`;
    const mode = isExecutable ? 0o700 : 0o600;
    Deno.writeFileSync(path, Uint8Array.fromBase64(content), { mode, createNew: true });
  }
}

function readFile(
  path: string,
  onPrivate: (path: string) => void,
): Pick<ConfigFile, "isExecutable" | "content"> | undefined {
  try {
    const { mode } = Deno.statSync(path);
    if (((mode ?? 0) & 0o004) === 0) onPrivate(path);
    return {
      isExecutable: ((mode ?? 0) & 0o111) !== 0,
      content: Deno.readFileSync(path).toBase64(),
    };
  } catch (error) {
    // A link that leads nowhere turns a hook off.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw unreadable(path, error);
  }
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw unreadable(folder, error);
  }
}

function unreadable(path: string, error: unknown): EnrootError {
  return new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
    cause: error,
  });
}
