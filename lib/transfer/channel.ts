/**
 * What goes between the two ends of a transfer: messages, and the bytes of streams.
 *
 * Both go in frames: a letter, the length of what follows as four bytes, most significant first, and that.
 * `M` is a message in JSON, `D` a piece of a stream, `E` the end of a stream, and `A` says only that whoever
 * sends it is still there: each end does so every 15 seconds, and one of which nothing comes for three times
 * as long is gone. A network that fails may tell neither end, and the locks of a transfer must not be held for hours.
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
  override readonly name: string = "CutError";

  constructor(message = "the connection ended before all was transferred") {
    super("cut", message);
  }
}

/** The connection is there, and nothing comes over it: there is nobody to tell. */
export class SilentError extends CutError {
  override readonly name = "SilentError";

  /** @param seconds how long nothing came, at least */
  constructor(seconds: number) {
    super(`nothing came from the other end for more than ${seconds} seconds`);
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

/** How often an end says that it is there, in milliseconds, and how often it must be missed to count as gone. */
const beatEvery = 15_000;
const missedOften = 4;

const headerSize = 5;
const maxMessage = 1 << 20;
const maxPiece = 1 << 20;

/** One end of a transfer. What is said or sent goes in the order of the calls. */
export class Channel {
  readonly #pipe: Pipe;
  readonly #beatEvery: number;
  /** What was read and not yet taken. */
  #left: Uint8Array = new Uint8Array();
  /** A frame that is read before anybody asks for it. */
  #ahead: Promise<Frame> | undefined;
  /** All that is to be written so far, and how much of it is not yet. */
  #written: Promise<void> = Promise.resolve();
  #unwritten = 0;
  /** How often it was to be heard that the other end is there, since something came. */
  #missed = 0;
  /** Ends the read that is under way. */
  #giveUp: ((error: unknown) => void) | undefined;

  /** @param options.beatEvery how often it is said that this end is there, in milliseconds */
  constructor(pipe: Pipe, options: { readonly beatEvery?: number } = {}) {
    this.#pipe = pipe;
    this.#beatEvery = options.beatEvery ?? beatEvery;
  }

  /**
   * From now on, until it is disposed of, have the other end know that this one is there, and expect the same of
   * it. For after the greeting: before it a person may be asked for a password.
   *
   * It is counted how often something was missing, not how long: this process may have been stopped meanwhile.
   */
  keepAlive(): Disposable {
    this.#missed = 0;
    const timer = setInterval(() => {
      // What is being written says as much, and where it gets stuck more would only pile up.
      if (this.#unwritten === 0) this.#write("A", new Uint8Array()).catch(() => {});
      if (this.#giveUp === undefined || ++this.#missed < missedOften) return;
      this.#giveUp(new SilentError(this.#beatEvery * (missedOften - 1) / 1000));
    }, this.#beatEvery);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /**
   * Listen while this end is at work and the other one has nothing to say: then all that it can say is that
   * it failed.
   *
   * @returns aborted when it did, or is gone; the reason is what {@linkcode hear} would throw
   */
  listen(): AbortSignal {
    const lost = new AbortController();
    this.#lookAhead().catch((error) => lost.abort(error));
    return lost.signal;
  }

  /** Say something. @throws when nobody listens any more */
  async say(message: unknown): Promise<void> {
    await this.#put("M", new TextEncoder().encode(JSON.stringify(message)));
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
   * @throws what the stream throws; {@linkcode RemoteError} when the other end said why it takes no more;
   * {@linkcode CutError} when it is gone
   */
  async send(bytes: AsyncIterable<Uint8Array>, onProgress: (done: number) => void): Promise<void> {
    let done = 0;
    const lost = this.listen();
    let fail = (_error: unknown): void => {};
    lost.addEventListener("abort", () => fail(lost.reason), { once: true });
    // A race with one promise for all frames would keep all of them.
    const put = (type: Frame["type"], piece: Uint8Array): Promise<void> => {
      lost.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      fail = reject;
      this.#put(type, piece).then(resolve, reject);
      return promise;
    };
    for await (const piece of bytes) {
      for (let at = 0; at < piece.length; at += maxPiece) {
        await put("D", piece.subarray(at, at + maxPiece));
      }
      onProgress(done += piece.length);
    }
    await put("E", new Uint8Array());
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

  async #put(type: Frame["type"], bytes: Uint8Array): Promise<void> {
    try {
      await this.#write(type, bytes);
    } catch {
      // Whoever closes may have said why.
      for (;;) await this.#read();
    }
  }

  #write(type: Frame["type"] | "A", bytes: Uint8Array): Promise<void> {
    const frame = new Uint8Array(headerSize + bytes.length);
    frame[0] = type.charCodeAt(0);
    new DataView(frame.buffer).setUint32(1, bytes.length);
    frame.set(bytes, headerSize);
    this.#unwritten++;
    const done = this.#written.then(() => this.#pipe.write(frame)).finally(() => this.#unwritten--);
    this.#written = done.catch(() => {});
    return done;
  }

  #lookAhead(): Promise<Frame> {
    this.#ahead ??= this.#readFrame();
    // It is there for whoever reads next, if anybody does.
    this.#ahead.catch(() => {});
    return this.#ahead;
  }

  async #read(): Promise<Frame> {
    const frame = await this.#lookAhead();
    this.#ahead = undefined;
    return frame;
  }

  /** @throws {RemoteError} a message that is a failure is no frame for anybody */
  async #readFrame(): Promise<Frame> {
    for (;;) {
      const header = await this.#take(headerSize);
      const type = String.fromCharCode(header[0] ?? 0);
      const length = new DataView(header.buffer, header.byteOffset).getUint32(1);
      const limit = type === "M" ? maxMessage : type === "D" ? maxPiece : 0;
      if (!/[MDEA]/.test(type) || length > limit) {
        const decoder = new TextDecoder();
        const text = decoder.decode(header) + decoder.decode(this.#left);
        throw badPeer(`it prints '${text.trim().slice(0, 80)}'`);
      }
      if (type === "A") continue;
      const bytes = await this.#take(length);
      if (type === "D") return { type, bytes };
      if (type === "E") return { type };
      const message = parse(bytes);
      if (typeof message === "object" && message !== null && "error" in message) {
        throw new RemoteError(String(message.error));
      }
      return { type: "M", message };
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    const taken = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      if (this.#left.length === 0) {
        const more = await this.#more();
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

  async #more(): Promise<Uint8Array | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
    this.#missed = 0;
    this.#giveUp = reject;
    this.#pipe.read().then(resolve, reject);
    try {
      return await promise;
    } finally {
      this.#giveUp = undefined;
    }
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
