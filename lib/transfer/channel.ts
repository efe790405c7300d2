/**
 * What goes between the two ends of a transfer: messages, and the bytes of streams.
 *
 * Both go in frames: a letter, the length of what follows as four bytes, most significant first, and that.
 * `M` is a message in JSON, `D` a piece of a stream, `E` the end of a stream.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** Bytes to and from the other end. */
export interface Pipe {
  /** The next bytes, as they come; `undefined` when nothing more comes. */
  read(): Promise<Uint8Array | undefined>;
  /** @throws when nobody takes them any more */
  write(bytes: Uint8Array): Promise<void>;
}

/** The connection ended before all was said. */
export class CutError extends EnrootError {
  override readonly name = "CutError";

  constructor() {
    super("cut", "the connection ended before all was transferred");
  }
}

/** The other end has failed, and said why. */
export class RemoteError extends EnrootError {
  override readonly name = "RemoteError";

  /** @param message in the other end's words */
  constructor(message: string) {
    super("remote-failed", message);
  }
}

type Frame =
  | { readonly type: "M"; readonly message: unknown }
  | { readonly type: "D"; readonly bytes: Uint8Array }
  | { readonly type: "E" };

const headerSize = 5;
const maxMessage = 1 << 20;
const maxPiece = 1 << 20;

/** One end of a transfer. */
export class Channel {
  readonly #pipe: Pipe;
  /** What was read and not yet taken. */
  #left: Uint8Array = new Uint8Array();

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  /** Say something. @throws when nobody listens any more */
  async say(message: unknown): Promise<void> {
    await this.#write("M", new TextEncoder().encode(JSON.stringify(message)));
  }

  /**
   * Hear what the other end says.
   *
   * @throws {RemoteError} when that is that it failed; {@linkcode CutError} when it says nothing more;
   * {@linkcode EnrootError} code `bad-peer` when it speaks another language
   */
  async hear(): Promise<unknown> {
    const frame = await this.#read();
    if (frame.type !== "M") throw badPeer("it sends what nobody has asked for");
    return frame.message;
  }

  /**
   * Send a stream.
   *
   * @param onProgress told how many bytes went
   * @throws what the stream throws; {@linkcode RemoteError} when the other end said why it takes no more
   */
  async send(bytes: AsyncIterable<Uint8Array>, onProgress: (done: number) => void): Promise<void> {
    let done = 0;
    for await (const piece of bytes) {
      for (let at = 0; at < piece.length; at += maxPiece) {
        await this.#write("D", piece.subarray(at, at + maxPiece));
      }
      onProgress(done += piece.length);
    }
    await this.#write("E", new Uint8Array());
  }

  /** Receive a stream. @throws as {@linkcode hear} */
  async *receive(onProgress: (done: number) => void): AsyncGenerator<Uint8Array> {
    let done = 0;
    for (;;) {
      const frame = await this.#read();
      if (frame.type === "E") return;
      if (frame.type === "M") throw badPeer("it talks within a stream");
      onProgress(done += frame.bytes.length);
      yield frame.bytes;
    }
  }

  async #write(type: Frame["type"], bytes: Uint8Array): Promise<void> {
    const frame = new Uint8Array(headerSize + bytes.length);
    frame[0] = type.charCodeAt(0);
    new DataView(frame.buffer).setUint32(1, bytes.length);
    frame.set(bytes, headerSize);
    try {
      await this.#pipe.write(frame);
    } catch {
      // Whoever closes may have said why.
      for (;;) await this.#read();
    }
  }

  /** @throws {RemoteError} a message that is a failure is no frame for anybody */
  async #read(): Promise<Frame> {
    const header = await this.#take(headerSize);
    const type = String.fromCharCode(header[0] ?? 0);
    const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
    const limit = type === "M" ? maxMessage : type === "D" ? maxPiece : 0;
    if (!/[MDE]/.test(type) || length > limit) {
      const decoder = new TextDecoder();
      const text = decoder.decode(header) + decoder.decode(this.#left);
      throw badPeer(`it prints '${text.trim().slice(0, 80)}'`);
    }
    const bytes = await this.#take(length);
    if (type === "D") return { type, bytes };
    if (type === "E") return { type };
    const message = parse(bytes);
    if (typeof message === "object" && message !== null && "error" in message) {
      throw new RemoteError(String(message.error));
    }
    return { type: "M", message };
  }

  async #take(length: number): Promise<Uint8Array> {
    const taken = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (this.#left.length === 0) {
        const more = await this.#pipe.read();
        if (more === undefined) throw new CutError();
        this.#left = more;
      }
      const part = this.#left.subarray(0, length - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#left = this.#left.subarray(part.length);
    }
    return taken;
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw badPeer("it sends a message that cannot be read");
  }
}

function badPeer(why: string): EnrootError {
  return new EnrootError(
    "bad-peer",
    `the other end does not speak as enroot does: ${why} (a login script there may print something)`,
  );
}
