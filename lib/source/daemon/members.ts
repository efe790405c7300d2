/**
 * An archive that is read once, from its beginning to its end.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { ByteQueue } from "../../streams/byte_queue.ts";
import { display } from "../../tar/byte_string.ts";
import type { TarEntry } from "../../tar/entry.ts";
import { blockSize } from "../../tar/header.ts";
import { TarReader } from "../../tar/reader.ts";
import { normalize } from "../tar_index.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A file in the archive; what is not read of it is passed over. */
export interface Member {
  /** Normalized. */
  readonly name: string;
  readonly content: MemberContent;
}

/** A member's bytes, as they come. */
export class MemberContent {
  /** How many bytes it has. */
  readonly size: number;
  readonly #queue: ByteQueue;
  readonly #name: string;
  #left: number;

  constructor(queue: ByteQueue, name: string, size: number) {
    this.#queue = queue;
    this.#name = name;
    this.size = this.#left = size;
  }

  /**
   * What comes next, without taking it.
   *
   * @param least how many bytes there are to be; fewer only when the member has no more
   * @throws {EnrootError} code `truncated` when the archive ends before the member
   */
  async peek(least = 1): Promise<Bytes> {
    const wanted = Math.min(least, this.#left);
    const bytes = await this.#queue.peek(wanted);
    if (bytes.length >= wanted) return bytes.subarray(0, this.#left);
    throw new EnrootError("truncated", `the archive ends in the middle of '${this.#name}'`);
  }

  /** The rest of its bytes, piece by piece; each is the reader's to keep. */
  async *pieces(): AsyncGenerator<Bytes> {
    while (this.#left > 0) {
      const piece = await this.peek();
      this.#queue.drop(piece.length);
      this.#left -= piece.length;
      yield piece;
    }
  }

  /** The rest of its bytes in one. */
  async whole(): Promise<Bytes> {
    const bytes = new Uint8Array(this.#left);
    let at = 0;
    for await (const piece of this.pieces()) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}

/**
 * The files of an archive, in its order; links and folders are passed over. Each is read, as far as it
 * is of use, before the next one is asked for.
 *
 * @throws {EnrootError} when it is no tar or ends too early; what the source throws
 */
export async function* readMembers(source: AsyncIterable<Bytes>): AsyncGenerator<Member> {
  await using queue = new ByteQueue(source);
  const found: TarEntry[] = [];
  const reader = new TarReader({
    entry: (entry) => void found.push(entry),
    content: () => {},
    end: () => {},
  });
  for (;;) {
    const block = (await queue.peek(blockSize)).subarray(0, blockSize);
    if (block.length === 0) break;
    reader.write(block);
    queue.drop(block.length);
    let follows = reader.skipContent();
    const entry = found.pop();
    if (entry?.type === "file" && entry.extents === undefined) {
      const name = display(entry.path);
      const content = new MemberContent(queue, name, entry.size);
      yield { name: normalize(name), content };
      for await (const _ of content.pieces());
      follows -= entry.size;
    }
    while (follows > 0) {
      const { length } = await queue.peek();
      // The last thing in it may be without its padding.
      if (length === 0) break;
      const passed = Math.min(length, follows);
      queue.drop(passed);
      follows -= passed;
    }
  }
  reader.end();
}
