/**
 * Packing files behind the launcher. The format is that of helper/payload.h.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** A file of the payload. */
export interface PackedFile {
  /** Its path in the unpacked folder. */
  readonly name: string;
  /** Where it is now. */
  readonly path: string;
  readonly mode: number;
}

/** What was made. */
export interface PackSummary {
  /** The content id: the sha256 of everything behind the launcher but the trailer, in hex. */
  readonly id: string;
  /** Bytes of the whole executable. */
  readonly size: number;
}

/** Where the files are. */
export interface PackOptions {
  /** In a folder that a package installs, and not in the executable. */
  readonly isInstalled?: boolean;
}

/** What the launcher has room for. */
const mostFiles = 256;
const mostWords = 32;

/**
 * Write an executable: the launcher, the files by name, their table, and the trailer.
 *
 * The same files make the same bytes. The output is there whole or not at all. The content id is that
 * of the files, wherever they are.
 *
 * @param words the command that the launcher becomes; a word that begins with `@` is below the folder
 * @throws {Error} when the table cannot say it: too many files or words, or a name with odd characters
 */
export async function pack(
  launcher: string,
  files: readonly PackedFile[],
  words: readonly string[],
  output: string,
  { isInstalled = false }: PackOptions = {},
): Promise<PackSummary> {
  if (files.length > mostFiles || words.length > mostWords) {
    throw new Error(
      `${files.length} files and ${words.length} words are too many for the launcher`,
    );
  }
  const odd = files.find(({ name }) =>
    !/^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/.test(name) || name.includes("..")
  );
  if (odd !== undefined) throw new Error(`the launcher does not unpack '${odd.name}'`);
  const partial = `${output}.partial`;
  const hash = createHash("sha256");
  let offset = 0;
  const table: string[] = [];
  try {
    using file = await Deno.open(partial, {
      write: true,
      create: true,
      truncate: true,
      mode: 0o755,
    });
    const write = async (bytes: Uint8Array, isPayload: boolean): Promise<void> => {
      if (isPayload) hash.update(bytes);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      offset += bytes.length;
    };
    await write(await Deno.readFile(launcher), false);
    for (const { name, path, mode } of files.toSorted((a, b) => a.name < b.name ? -1 : 1)) {
      const begin = offset;
      using source = await Deno.open(path);
      if (isInstalled) {
        for await (const bytes of source.readable) hash.update(bytes);
        table.push(`i ${mode.toString(8)} ${(await Deno.stat(path)).size} ${name}`);
        continue;
      }
      for await (const bytes of source.readable) await write(bytes, true);
      table.push(`f ${mode.toString(8)} ${begin} ${offset - begin} ${name}`);
    }
    for (const word of words) table.push(`a ${word}`);
    const tableOffset = offset;
    await write(new TextEncoder().encode(`${table.join("\n")}\n`), true);
    const hex = (number: number): string => number.toString(16).padStart(16, "0");
    const id = hash.digest("hex");
    const trailer = `ENROOTP1${hex(tableOffset)}${hex(offset - tableOffset)}${id}`;
    await write(new TextEncoder().encode(trailer), false);
    await Deno.chmod(partial, 0o755);
    await Deno.rename(partial, output);
    return { id, size: offset };
  } catch (error) {
    await Deno.remove(partial).catch(() => {});
    throw error;
  }
}
