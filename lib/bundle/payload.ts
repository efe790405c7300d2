/**
 * What is packed behind a launcher or the head of a bundle: the table of its files. The format is that of
 * helper/payload.h.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";

/** Bytes of an executable. */
export interface Region {
  readonly offset: number;
  readonly size: number;
}

/** A file of a payload. */
export interface PayloadFile {
  /** Its path in the unpacked folder. */
  readonly name: string;
  readonly mode: number;
  /** Its bytes, unpacked. */
  readonly size: number;
  /** Where it is in the executable, as it is; absent: it is deflated, or a package has installed it. */
  readonly region?: Region;
}

/** A payload. */
export interface Payload {
  /** How many bytes the program in front of it has. */
  readonly headSize: number;
  readonly files: readonly PayloadFile[];
  /** What is not unpacked by the program in front: a bundle's image. */
  readonly data?: Region;
}

/** The trailer: `ENROOT`, a kind, `1`, offset and size of the table in 16 hex digits each, the id. */
export const trailerSize = 104;
const trailer = /^ENROOT[PC]1([0-9a-f]{16})([0-9a-f]{16})[0-9a-f]{64}$/;
const largestTable = 1 << 20;

/**
 * Read the payload of an executable.
 *
 * @throws {EnrootError} code `bad-payload` when it has none, `cannot-read`
 */
export async function readPayload(path: string): Promise<Payload> {
  try {
    using file = await Deno.open(path);
    return await payloadOf(file, path);
  } catch (error) {
    if (error instanceof EnrootError) throw error;
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The same of an open file. @param path what it is called, for messages */
export async function payloadOf(file: Deno.FsFile, path: string): Promise<Payload> {
  try {
    const { size } = await file.stat();
    const [, offset, length] = trailer.exec(
      await readAt(file, { offset: Math.max(0, size - trailerSize), size: trailerSize }),
    ) ?? [];
    if (offset === undefined || length === undefined) throw damaged(path);
    const table: Region = { offset: parseInt(offset, 16), size: parseInt(length, 16) };
    if (table.size > largestTable || table.offset + table.size + trailerSize !== size) {
      throw damaged(path);
    }
    return parseTable(await readAt(file, table), table.offset, path);
  } catch (error) {
    if (error instanceof EnrootError) throw error;
    throw new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Read a table.
 *
 * @param end where it begins: nothing that it names lies behind that
 * @throws {EnrootError} code `bad-payload`
 */
export function parseTable(text: string, end: number, path: string): Payload {
  const files: PayloadFile[] = [];
  let data: Region | undefined;
  let headSize = end;
  const place = (offset: string, size: string): Region => {
    const region = { offset: Number(offset), size: Number(size) };
    if (region.offset + region.size > end) throw damaged(path);
    headSize = Math.min(headSize, region.offset);
    return region;
  };
  for (const line of text.split("\n").slice(0, -1)) {
    if (line.startsWith("a ")) continue;
    const [, offset, size] = /^d (\d{1,15}) (\d{1,15})$/.exec(line) ?? [];
    if (offset !== undefined && size !== undefined) {
      data = place(offset, size);
      continue;
    }
    const [, kind, mode = "", numbers = "", name = ""] =
      /^([fiz]) ([0-7]{1,4})((?: \d{1,15}){1,3}) ([\w-][\w./-]*)$/.exec(line) ?? [];
    const given = numbers.trim().split(" ");
    const count = { i: 1, f: 2, z: 3 }[kind ?? ""];
    if (given.length !== count || name.includes("..")) throw damaged(path);
    const [first = "", second = ""] = given;
    const file = { name, mode: parseInt(mode, 8), size: Number(given.at(-1)) };
    if (kind === "z") place(first, second);
    files.push(kind === "f" ? { ...file, region: place(first, second) } : file);
  }
  return { headSize, files, ...(data === undefined ? {} : { data }) };
}

async function readAt(file: Deno.FsFile, { offset, size }: Region): Promise<string> {
  const bytes = new Uint8Array(size);
  await file.seek(offset, Deno.SeekMode.Start);
  for (let at = 0; at < size;) {
    const length = await file.read(bytes.subarray(at));
    if (length === null) break;
    at += length;
  }
  return new TextDecoder().decode(bytes);
}

function damaged(path: string): EnrootError {
  return new EnrootError(
    "bad-payload",
    `${path} is damaged or incomplete: copy or install it again`,
  );
}
