/**
 * One `docker save` or `podman save`, read as it comes.
 *
 * The archive is never on disk. A layer whose turn it is goes to its reader through a pipe, and the
 * stream waits for the reader. One that comes before its turn, or is needed a second time, is put away
 * compressed until then.
 *
 * What engines write, each in an order of its own:
 *
 * - Docker up to 24: `ID/json`, which names its parent, and `ID/layer.tar`, by random ID;
 * - Docker from 25: `blobs/sha256/DIFF-ID`, plain tars, by name;
 * - Docker with containerd's store: `blobs/sha256/DIGEST`, compressed, all platforms, by name;
 * - podman: `DIFF-ID.tar`, lowest first, then the config, then links for version 1;
 * - podman, `oci-archive`: as containerd, one platform.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { DiffId, Digest } from "../../oci/digest.ts";
import { readOutput } from "../../process/read_output.ts";
import { createSha256 } from "../../std/node.ts";
import { sniffCompression } from "../../streams/inflate.ts";
import type { Layer, OpenedLayer } from "../image.ts";
import { maxDocument } from "../open_manifest.ts";
import { Documents, type FoundConfig } from "./documents.ts";
import { engineError, type EngineImage, saveCommand } from "./engine.ts";
import { LayerSlots } from "./layer_slots.ts";
import { type Member, type MemberContent, readMembers } from "./members.ts";
import { Spool, type SpooledLayer } from "./spool.ts";

/** What is saved, and what of it is wanted. */
export interface SaveRequest {
  readonly image: EngineImage;
  /** What the engine knows it by. */
  readonly id: Digest;
  /** Of its layers, lowest first. */
  readonly diffIds: readonly DiffId[];
  readonly architecture: string;
  readonly tempPath: string;
  /** The layers that are not wanted; it may grow, see {@linkcode SaveRun.skip}. */
  readonly skipped: ReadonlySet<number>;
  readonly signal: AbortSignal;
  readonly log: (level: "debug", message: string) => void;
}

/** How much is read of what nobody needs any more, so that the engine comes to its end, in bytes. */
const maxRest = 16 << 20;

/** A save at work. Disposing of it ends the engine's program, and frees what waits. */
export class SaveRun implements AsyncDisposable {
  readonly #request: SaveRequest;
  readonly #slots: LayerSlots;
  readonly #documents: Documents;
  readonly #spool: Spool;
  /** Blobs of which it is not known yet which layer they are, by the hex of their digest. */
  readonly #unknown = new Map<string, SpooledLayer>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #config = Promise.withResolvers<FoundConfig>();
  readonly #end: Promise<void>;
  #isConfigWanted = false;
  #failure: unknown;
  #hasEnded = false;

  /** Start the engine's program. */
  constructor(request: SaveRequest) {
    const { id, diffIds, architecture, image, skipped, tempPath, signal } = request;
    this.#request = request;
    this.#slots = new LayerSlots(diffIds, skipped);
    this.#documents = new Documents({ engineId: id, architecture, diffIds, uri: image.uri });
    this.#spool = new Spool(tempPath);
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#signal.addEventListener("abort", () => this.#slots.look(), { once: true });
    // Whoever asks for it is told why there is none; until then that is nobody's.
    this.#config.promise.catch(() => {});
    this.#end = this.#read();
  }

  /** Whether a layer can still be had of this save. */
  canOpen(index: number): boolean {
    return this.#slots.canOpen(index) && !(this.#hasEnded && this.#slots.isMissing(index));
  }

  /** A layer, as {@linkcode Layer.open} has it. To be asked for once. */
  open(index: number, options: Parameters<Layer["open"]>[0]): Promise<OpenedLayer> {
    return this.#slots.open(index, options);
  }

  /** Say that a layer, which is in the set of skipped ones by now, is not read. */
  skip(index: number): void {
    this.#slots.skip(index);
  }

  /** The config, once it has come. Layers that come before it and that nobody has opened wait. */
  async config(): Promise<FoundConfig> {
    this.#isConfigWanted = true;
    this.#slots.look();
    return await this.#config.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the image is not wanted any more"));
    // What is on its way to a reader that is gone would wait without end.
    this.#slots[Symbol.dispose]();
    await this.#end;
    this.#slots[Symbol.dispose]();
    for (const layer of this.#unknown.values()) layer.drop();
  }

  async #read(): Promise<void> {
    const { image, id, log } = this.#request;
    const signal = this.#signal;
    try {
      using command = await saveCommand(image, id, { signal });
      const { argv, environment } = command;
      await using output = readOutput(argv, { signal, environment });
      await this.#readAll(output.bytes);
    } catch (error) {
      // All that is wanted may be there, and checked, before an engine fails.
      if (!this.#isDone()) this.#fail(error);
    }
    this.#hasEnded = true;
    log("debug", `${image.uri}: at most ${this.#spool.peak} bytes waited in the temporary folder`);
  }

  async #readAll(bytes: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = 0;
    for await (const member of readMembers(bytes)) {
      if (this.#isDone()) {
        // An engine is not interrupted for a few links, but for gigabytes of other platforms.
        rest += member.content.size;
        if (rest > maxRest) return;
      } else if (await this.#isDocument(member)) {
        this.#documents.add(member.name, await member.content.whole());
        this.#settle();
      } else await this.#takeLayer(member);
    }
    this.#documents.end();
    this.#settle();
    if (!this.#isDone()) throw this.#incomplete();
  }

  /** Whether a member is a file of JSON, which a layer that begins like one is not. */
  async #isDocument({ name, content }: Member): Promise<boolean> {
    if (content.size > maxDocument || name.endsWith(".tar")) return false;
    if (this.#slots.indexesOf(`sha256:${hexIn(name)}`).length > 0) return false;
    const [first] = await content.peek();
    return first === "{".charCodeAt(0) || first === "[".charCodeAt(0);
  }

  /** A document may have told what the config is, and which layers wait here. */
  #settle(): void {
    const { found } = this.#documents;
    if (found !== undefined) this.#config.resolve(found);
    for (const [hex, layer] of this.#unknown) {
      const indexes = this.#documents.indexesOfBlob(hex);
      if (indexes === undefined) continue;
      this.#unknown.delete(hex);
      this.#slots.keep(layer, indexes);
    }
  }

  async #takeLayer({ name, content }: Member): Promise<void> {
    const [, folder] = /^(.*)\/layer\.tar$/.exec(name) ?? [];
    if (folder !== undefined) {
      const index = this.#documents.indexOfVersion1(folder);
      const diffId = index === undefined ? undefined : this.#request.diffIds[index];
      return diffId === undefined
        ? await this.#takeUnnamed(content)
        : await this.#bring(content, this.#slots.indexesOf(diffId));
    }
    const hex = hexIn(name);
    if (hex === undefined) return;
    const indexes = this.#slots.indexesOf(`sha256:${hex}`);
    if (indexes.length > 0) return await this.#bring(content, indexes);
    // Plain blobs have their diff ID for a name, so this is none of ours.
    if (sniffCompression(await content.peek(4)) === "none") return;
    const found = this.#documents.indexesOfBlob(hex);
    if (found !== undefined) return await this.#bring(content, found);
    this.#unknown.set(hex, await this.#putAway(content));
  }

  /** Hand a layer to its reader, or put it away until its turn. */
  async #bring(content: MemberContent, indexes: readonly number[]): Promise<void> {
    const first = await this.#slots.turn(indexes, () => this.#mayWait());
    const missing = indexes.filter((index) => this.#slots.isMissing(index));
    const others = missing.filter((index) => index !== first);
    const onProgress = (bytes: number): void => this.#slots.progress(missing[0] ?? 0, bytes);
    if (missing.length === 0) this.#slots.passBy(indexes);
    else if (first === undefined) {
      this.#slots.keep(await this.#putAway(content, onProgress), others);
    } else await this.#pipe(content, first, others, onProgress);
  }

  /** Whether the stream may stand still for somebody to open a layer. */
  #mayWait(): boolean {
    this.#signal.throwIfAborted();
    return !this.#isConfigWanted || this.#documents.found !== undefined;
  }

  /** Write a layer to its reader; where it is needed again, it is put away as well. */
  async #pipe(
    content: MemberContent,
    first: number,
    others: readonly number[],
    onProgress: (bytes: number) => void,
  ): Promise<void> {
    const compression = sniffCompression(await content.peek(4));
    using writer = others.length === 0 ? undefined : this.#spool.begin(compression);
    const pipe = this.#slots.pipeTo(first, content.size, compression);
    try {
      let isRead = true;
      for await (const piece of content.pieces()) {
        isRead &&= await pipe.write(piece);
        await writer?.write(piece);
        onProgress(piece.length);
        if (!isRead && writer === undefined) break;
      }
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      pipe.close(this.#failure);
    }
    if (writer !== undefined) this.#slots.keep(await writer.finish(), others);
  }

  /** A layer of version 1 whose place is not known: its own diff ID tells. */
  async #takeUnnamed(content: MemberContent): Promise<void> {
    const hash = createSha256();
    const layer = await this.#putAway(content, (_, piece) => hash.update(piece));
    this.#slots.keep(layer, this.#slots.indexesOf(`sha256:${hash.digest("hex")}`));
  }

  async #putAway(
    content: MemberContent,
    onPiece: (bytes: number, piece: Uint8Array) => void = () => {},
  ): Promise<SpooledLayer> {
    using writer = this.#spool.begin(sniffCompression(await content.peek(4)));
    for await (const piece of content.pieces()) {
      onPiece(piece.length, piece);
      await writer.write(piece);
    }
    return await writer.finish();
  }

  #isDone(): boolean {
    return this.#documents.found !== undefined && this.#slots.lowestMissing === undefined;
  }

  #fail(error: unknown): void {
    this.#failure ??= this.#signal.aborted ? this.#signal.reason : this.#explained(error);
    this.#config.reject(this.#failure);
    this.#slots.fail(this.#failure);
  }

  #explained(error: unknown): unknown {
    const { image } = this.#request;
    if (!(error instanceof EnrootError) || !["truncated", "bad-archive"].includes(error.code)) {
      return engineError(error, image);
    }
    return new EnrootError(
      error.code,
      `${image.uri}: what '${image.engine} save' wrote cannot be used: ${error.message}`,
      { cause: error },
    );
  }

  #incomplete(): EnrootError {
    const { diffIds } = this.#request;
    const missing = this.#slots.lowestMissing;
    const what = missing === undefined
      ? "the config of the image"
      : `layer ${missing + 1} of ${diffIds.length} (${diffIds[missing]})`;
    return new EnrootError("bad-archive", `it does not hold ${what}`);
  }
}

/** The digest that a member's name is, in hex. */
function hexIn(name: string): string | undefined {
  return /^(?:.*\/)?([0-9a-f]{64})(?:\.tar)?$/.exec(name)?.[1];
}
