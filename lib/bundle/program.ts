/**
 * The program that a bundle carries: this one, with the libraries that its runtime needs.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import {
  executableForm,
  helperPath,
  loaderCommand,
  loaderName,
  payload,
  runtimeFlags,
  runtimeName,
  runtimeProgram,
} from "../process/assets.ts";
import { callerState } from "../process/caller.ts";
import { runBriefly } from "../process/run.ts";
import { createSha256 } from "../std/node.ts";
import type { BundleWriter } from "./bundle_writer.ts";
import { payloadOf, type Region } from "./payload.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A file of the program. */
interface ProgramFile {
  /** Its path in the folder that the launcher finds. */
  readonly name: string;
  readonly mode: number;
  readonly source: OpenFile;
  readonly region: Region;
}

/** A file and what it is called: what an upgrade puts in its place meanwhile is another file. */
interface OpenFile {
  readonly path: string;
  readonly file: Deno.FsFile;
}

/** This program, open, as it can be written into bundles. Disposing of it closes it. */
export interface Program extends AsyncDisposable {
  /** The executable, which begins with the launcher. */
  readonly executable: OpenFile;
  readonly launcherSize: number;
  readonly files: readonly ProgramFile[];
  /** What the launcher becomes. */
  readonly words: readonly string[];
}

/** What a bundle's head runs. */
export const launcherName = "bin/enroot";

/** How the launcher names the folder with the files: by the beginning of an id. */
const nameLength = 32;

/**
 * Look at this program.
 *
 * @throws {EnrootError} code `no-executable` when it is run from source; when it cannot be read
 */
export async function thisProgram(): Promise<Program> {
  const { executable } = callerState();
  if (executable === undefined) {
    throw new EnrootError("no-executable", "only the executable makes bundles: build it");
  }
  await using undo = new AsyncDisposableStack();
  const open = async (path: string): Promise<OpenFile> => ({
    path,
    file: undo.use(await Deno.open(path)),
  });
  const fileAt = async (name: string, mode: number, path: string): Promise<ProgramFile> => {
    const source = await open(path);
    const { size } = await source.file.stat();
    return { name, mode, source, region: { offset: 0, size } };
  };
  const self = await open(executable);
  const { headSize, files } = await payloadOf(self.file, executable);
  const folder = payload();
  const own = files.filter(({ name }) => !name.startsWith("libexec/"))
    .map(({ name, mode, region }): Promise<ProgramFile> =>
      region === undefined
        ? fileAt(name, mode, `${folder}/${name}`)
        : Promise.resolve({ name, mode, source: self, region })
    );
  // In a package the helpers are not with the other files.
  const helper = await fileAt("libexec/enroot-nsenter", 0o755, helperPath("enroot-nsenter"));
  // Compiled, the program is found in the file that the kernel runs, and that must be it.
  const isCompiled = executableForm() === "compiled";
  const libraries = isCompiled ? [] : await listLibraries();
  const all = await Promise.all([
    ...own,
    ...libraries.map(([name, path]) => fileAt(name, 0o755, path)),
  ]);
  const kept = undo.move();
  return {
    executable: self,
    launcherSize: headSize,
    files: [...all, helper].toSorted((a, b) => a.name < b.name ? -1 : 1),
    words: isCompiled
      ? [`@/${runtimeName}`]
      : [...loaderCommand("@"), ...runtimeFlags, "@/main.js"],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Write the program: the launcher, with its files where it looks for them. */
export async function writeProgram(
  writer: BundleWriter,
  { executable, launcherSize, files, words }: Program,
): Promise<void> {
  const table = [
    ...files.map(({ name, mode, region }) => `i ${mode.toString(8)} ${region.size} ${name}`),
    ...words.map((word) => `a ${word}`),
  ];
  const text = new TextEncoder().encode(`${table.join("\n")}\n`);
  const hex = (number: number): string => number.toString(16).padStart(16, "0");
  // The folder is the bundle's own: its name only has to be the one that the launcher looks for.
  const id = createSha256().update(text).digest("hex");
  const trailer = `ENROOTP1${hex(launcherSize)}${hex(text.length)}${id}`;
  await writer.file(
    launcherName,
    0o755,
    async function* (): AsyncIterable<Bytes> {
      yield* readFile(executable, { offset: 0, size: launcherSize });
      yield text;
      yield new TextEncoder().encode(trailer);
    }(),
  );
  const folder = `libexec/enroot/payload/${id.slice(0, nameLength)}`;
  for (const { name, mode, source, region } of files) {
    await writer.file(`${folder}/${name}`, mode, readFile(source, region));
  }
}

/** The loader of the runtime and the libraries that it loads, as the loader itself lists them. */
async function listLibraries(): Promise<[name: string, path: string][]> {
  return parseLibraries(await runBriefly([runtimeProgram()], { LD_TRACE_LOADED_OBJECTS: "1" }));
}

/**
 * What the loader lists: `NAME => PATH (ADDRESS)` for each library, its own path alone, and what the
 * kernel brings without one. Source: ld.so(8).
 *
 * @returns names in the folder of the program, and paths
 * @throws {EnrootError} code `no-library` when a library is not there, or the loader is not named
 */
export function parseLibraries(list: string): [name: string, path: string][] {
  const found = list.split("\n").flatMap((line): [string, string][] => {
    const [, name, path] = /^\t(?:(\S+) => )?(\/\S+|not found)(?: \(0x[0-9a-f]+\))?$/.exec(line) ??
      [];
    if (path === undefined) return [];
    if (path === "not found") {
      throw new EnrootError("no-library", `the library ${name} is not there: install it`);
    }
    return [[name === undefined ? loaderName : `libc/${name}`, path]];
  });
  if (found.some(([name]) => name === loaderName)) return found;
  throw new EnrootError("no-library", "the dynamic loader of this system is not known");
}

async function* readFile(
  { path, file }: OpenFile,
  { offset, size }: Region,
): AsyncIterable<Bytes> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let left = size; left > 0;) {
    const piece = new Uint8Array(Math.min(left, 1 << 20));
    const length = await file.read(piece);
    if (length === null) {
      throw new EnrootError("cannot-read", `${path} was changed while it was read`);
    }
    left -= length;
    yield piece.subarray(0, length);
  }
}
