/**
 * The layers of an image that comes as a stream: which of them have come, and who waits for which.
 *
 * @module
 */

import type { LayerCompression } from "../../oci/media_type.ts";
import type { Layer, OpenedLayer } from "../image.ts";
import { LayerPipe } from "./layer_pipe.ts";
import type { SpooledLayer } from "./spool.ts";

/** Who wants a layer. */
interface Opener {
  readonly resolve: (layer: OpenedLayer) => void;
  readonly reject: (reason: unknown) => void;
  readonly onProgress: (bytes: number) => void;
}

interface Slot {
  opener?: Opener;
  /** It has come, or has gone by: the stream will not bring it again. */
  hasCome: boolean;
  /** It waits for its opener. */
  waiting?: SpooledLayer;
  /** What its opener got. */
  given?: OpenedLayer;
}

/** One slot a layer, counted from 0. Disposing of them frees what waits or was given. */
export class LayerSlots implements Disposable {
  readonly #diffIds: readonly string[];
  readonly #skipped: ReadonlySet<number>;
  readonly #slots: readonly Slot[];
  #wake = (): void => {};
  #failure: { readonly reason: unknown } | undefined;

  /**
   * @param diffIds of the layers, lowest first
   * @param skipped the layers that nobody wants; it may grow, see {@linkcode skip}
   */
  constructor(diffIds: readonly string[], skipped: ReadonlySet<number>) {
    this.#diffIds = diffIds;
    this.#skipped = skipped;
    this.#slots = diffIds.map(() => ({ hasCome: false }));
  }

  /** The lowest layer that is wanted and has not come; `undefined` when all have. */
  get lowestMissing(): number | undefined {
    const index = this.#slots.findIndex((_, each) => this.isMissing(each));
    return index === -1 ? undefined : index;
  }

  /** Whether a layer is wanted and has not come. */
  isMissing(index: number): boolean {
    return !this.#skipped.has(index) && !this.#slot(index).hasCome;
  }

  /** The layers of this diff ID. */
  indexesOf(diffId: string): number[] {
    return this.#diffIds.flatMap((each, index) => each === diffId ? [index] : []);
  }

  /** Whether a layer can be asked for: it waits, or may still come. */
  canOpen(index: number): boolean {
    const { opener, hasCome, waiting } = this.#slot(index);
    return opener === undefined && (!hasCome || waiting !== undefined);
  }

  /** A layer, when it is its turn. To be asked for once. @throws what {@linkcode fail} is given */
  async open(
    index: number,
    { signal, onProgress = () => {} }: Parameters<Layer["open"]>[0],
  ): Promise<OpenedLayer> {
    const slot = this.#slot(index);
    const { promise, resolve, reject } = Promise.withResolvers<OpenedLayer>();
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    slot.opener = { resolve, reject, onProgress };
    if (signal.aborted) giveUp();
    if (this.#failure !== undefined) reject(this.#failure.reason);
    this.#give(slot);
    this.#wake();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Free a layer that is in the set of skipped ones by now. */
  skip(index: number): void {
    const slot = this.#slot(index);
    slot.waiting?.drop();
    delete slot.waiting;
    slot.given?.release?.();
    this.#wake();
  }

  /** Have {@linkcode turn} look again. */
  look(): void {
    this.#wake();
  }

  /**
   * Whose turn it is, of the layers that the next bytes are: the lowest that is missing, once somebody
   * has opened it.
   *
   * @param mayWait whether an opener is waited for; asked again at each {@linkcode look}
   * @returns `undefined` when these bytes are before their turn, or nobody wants them
   */
  async turn(indexes: readonly number[], mayWait: () => boolean): Promise<number | undefined> {
    for (;;) {
      const first = indexes.find((index) => this.isMissing(index));
      if (first === undefined || first !== this.lowestMissing) return undefined;
      if (this.#slot(first).opener !== undefined) return first;
      if (!mayWait()) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Give a layer to its opener, through a pipe that the caller fills. */
  pipeTo(index: number, size: number, compression: LayerCompression): LayerPipe {
    const slot = this.#slot(index);
    const pipe = new LayerPipe(size, compression);
    slot.hasCome = true;
    slot.given = pipe;
    slot.opener?.resolve(pipe);
    return pipe;
  }

  /** Have a layer wait for those that are missing of these; with none it is freed. */
  keep(layer: SpooledLayer, indexes: readonly number[]): void {
    const missing = indexes.filter((index) => this.isMissing(index));
    layer.share(missing.length);
    for (const index of missing) {
      const slot = this.#slot(index);
      slot.hasCome = true;
      slot.waiting = layer;
      this.#give(slot);
    }
  }

  /** Note that the stream has brought these, and nobody wanted them. */
  passBy(indexes: readonly number[]): void {
    for (const index of indexes) this.#slot(index).hasCome = true;
  }

  /** Tell the opener of a layer how many more bytes of it have come. */
  progress(index: number, bytes: number): void {
    this.#slot(index).opener?.onProgress(bytes);
  }

  /** There is nothing more: whoever waits is told why. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    for (const { opener } of this.#slots) opener?.reject(reason);
  }

  [Symbol.dispose](): void {
    for (const slot of this.#slots) {
      slot.waiting?.drop();
      delete slot.waiting;
      slot.given?.release?.();
    }
  }

  #give(slot: Slot): void {
    if (slot.waiting === undefined || slot.opener === undefined) return;
    slot.given = slot.waiting.open();
    delete slot.waiting;
    slot.opener.resolve(slot.given);
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`there is no layer ${index}`);
    return slot;
  }
}
