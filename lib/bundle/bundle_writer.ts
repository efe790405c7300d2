/**
 * Writing a bundle: the head, the image, the files of the program, their table, and a trailer. The format
 * is that of helper/payload.h.
 *
 * @module
 */

import type { Hash } from "node:crypto";
import { EnrootError, reasonOf } from "../errors.ts";
import { createSha256, zlib } from "../std/node.ts";
import type { Region } from "./payload.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Where pieces of bytes come from. */
export type Pieces = AsyncIterable<Bytes> | Iterable<Bytes>;

/**
 * The highest: a bundle is made once. It takes some 10 s for the runtime, twice as long as the usual one.
 */
const level = 9;

/** Files may have such names: the program in front of them makes their folders. */
const plainName = /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/;

/** A bundle in the making: first {@linkcode head}, then the image, then files, then {@linkcode end}. */
export class BundleWriter {
  readonly #file: Deno.FsFile;
  /** Of everything but the image. */
  readonly #sum: Hash = createSha256();
  readonly #table: string[] = [];
  #offset = 0;

  /** @param file empty, open for writing */
  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Bytes that were written up to now. */
  get size(): number {
    return this.#offset;
  }

  /** The program in front of it all. */
  async head(bytes: Bytes): Promise<void> {
    await this.#write(bytes);
  }

  /** The image, which has a checksum of its own. @returns where it is */
  async image(pieces: Pieces): Promise<Region> {
    const offset = this.#offset;
    for await (const bytes of pieces) await this.#put(bytes);
    const size = this.#offset - offset;
    this.#table.push(`d ${offset} ${size}`);
    return { offset, size };
  }

  /**
   * A file.
   *
   * @throws {RangeError} when the head cannot make a file of that name
   */
  async file(name: string, mode: number, pieces: Pieces): Promise<void> {
    if (!plainName.test(name)) throw new RangeError(`a bundle cannot hold a file named '${name}'`);
    const offset = this.#offset;
    let size = 0;
    const counted = async function* (): AsyncIterable<Bytes> {
      for await (const bytes of pieces) {
        size += bytes.length;
        yield bytes;
      }
    };
    const deflate = zlib().createDeflateRaw({ level });
    for await (const bytes of through(deflate, counted())) await this.#write(bytes);
    this.#table.push(`z ${mode.toString(8)} ${offset} ${this.#offset - offset} ${size} ${name}`);
  }

  /**
   * The end.
   *
   * @param words what the head runs; `@` stands for the folder that it unpacks to
   * @param isChecked whether the head is to check all of it but the image
   */
  async end(words: readonly string[], isChecked: boolean): Promise<void> {
    const offset = this.#offset;
    const lines = [...this.#table, ...words.map((word) => `a ${word}`)];
    await this.#write(new TextEncoder().encode(`${lines.join("\n")}\n`));
    const hex = (number: number): string => number.toString(16).padStart(16, "0");
    const kind = isChecked ? "ENROOTC1" : "ENROOTP1";
    const size = this.#offset - offset;
    const text = `${kind}${hex(offset)}${hex(size)}${this.#sum.digest("hex")}`;
    await this.#put(new TextEncoder().encode(text));
  }

  async #write(bytes: Bytes): Promise<void> {
    this.#sum.update(bytes);
    await this.#put(bytes);
  }

  async #put(bytes: Bytes): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    } catch (error) {
      throw new EnrootError(
        "cannot-write",
        `cannot write the bundle: ${reasonOf(error)}: --output names another place`,
        { cause: error },
      );
    }
    this.#offset += bytes.length;
  }
}

/** What comes out of a stream of `node:zlib` when pieces are put into it. */
export async function* through(
  stream: NodeJS.ReadWriteStream & AsyncIterable<Bytes>,
  pieces: Pieces,
): AsyncIterable<Bytes> {
  let failure: { readonly reason: unknown } | undefined;
  const feed = async (): Promise<void> => {
    try {
      for await (const bytes of pieces) {
        await new Promise<void>((resolve) => void stream.write(bytes, () => resolve()));
      }
    } catch (reason) {
      failure = { reason };
    }
    stream.end();
  };
  const fed = feed();
  for await (const bytes of stream) yield bytes;
  await fed;
  if (failure !== undefined) throw failure.reason;
}
