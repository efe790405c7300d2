/**
 * The pool: workers, and one request at a time for each.
 *
 * @module
 */

import { decodeError } from "./errors.ts";
import { PoolWorker, type RequestOptions, type Waits } from "./pool_worker.ts";
import type { Answer, ApplyLayer, LayerSummary } from "./protocol.ts";
import { createRing, resetRing } from "./ring.ts";

export type { RequestOptions } from "./pool_worker.ts";

const defaultWaits: Waits = { start: 30_000, stop: 10_000, end: 10_000 };

/** How a pool is made. */
export interface PoolOptions {
  /** How long workers may take, where the defaults are not right. */
  readonly waits?: Partial<Waits>;
  /** Told of a worker whose thread did not end; nobody when absent. */
  readonly warn?: (message: string) => void;
}

/** What is to be done with a layer. */
export type LayerRequest = Omit<ApplyLayer, "id" | "cancelled">;

/**
 * From so many stored bytes on, a layer is inflated by a worker of its own: with fewer, the second one
 * takes longer to start than it saves.
 */
const worthTwo = 4 << 20;

/** A request that waits for a worker. */
interface Waiting {
  readonly resolve: (worker: PoolWorker) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Workers that apply layers. Disposing of it ends them; nothing they do goes on after that, or a warning
 * says which of them could not be ended.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #url: URL;
  readonly #size: number;
  readonly #waits: Waits;
  readonly #warn: (message: string) => void;
  readonly #idle: PoolWorker[] = [];
  readonly #all = new Set<PoolWorker>();
  readonly #waiting = new Set<Waiting>();
  readonly #running = new Set<Promise<unknown>>();
  /** Rings that are not in use. */
  readonly #rings: SharedArrayBuffer[] = [];
  #nextId = 0;

  /**
   * @param url the workers' module
   * @param size how many there are at most; each is started when it is first needed
   */
  constructor(url: URL, size: number, { waits = {}, warn = () => {} }: PoolOptions = {}) {
    this.#url = url;
    this.#size = size;
    this.#waits = { ...defaultWaits, ...waits };
    this.#warn = warn;
  }

  /**
   * Apply a layer, as soon as a worker is free. When another is free too, and the layer is worth it,
   * that one inflates it meanwhile.
   *
   * @throws {EnrootError} what the worker reports; code `worker-died` when it did; the signal's reason
   * when it was cancelled. Whatever it is, nothing is done for this layer any more.
   */
  async applyLayer(
    request: LayerRequest,
    options: RequestOptions,
  ): Promise<LayerSummary> {
    const work = this.#apply(request, options);
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#running);
    await Promise.all([...this.#all].map((worker) => worker.end()));
    this.#all.clear();
    this.#idle.length = 0;
  }

  async #apply(request: LayerRequest, options: RequestOptions): Promise<LayerSummary> {
    const { signal } = options;
    signal.throwIfAborted();
    const worker = await this.#acquire(signal);
    let helper: PoolWorker | undefined;
    try {
      // Only one that nobody waits for: so two layers never wait for each other's second worker.
      if (request.file.size >= worthTwo) helper = await this.#takeIdle();
      signal.throwIfAborted();
      return helper === undefined
        ? await this.#applyAlone(request, worker, options)
        : await this.#applyByTwo(request, worker, helper, options);
    } finally {
      if (helper !== undefined) await this.#release(helper);
      await this.#release(worker);
    }
  }

  async #applyAlone(
    request: LayerRequest,
    worker: PoolWorker,
    options: RequestOptions,
  ): Promise<LayerSummary> {
    const asked = { ...request, id: this.#nextId++, cancelled: new SharedArrayBuffer(4) };
    const answer = succeeded(await worker.ask(asked, options), options.signal);
    if (answer.kind === "applied") return answer.summary;
    throw new Error(`a worker answered '${answer.kind}' when it was to apply a layer`);
  }

  /** One worker inflates what the other applies. What is told is how the first of them failed. */
  async #applyByTwo(
    request: LayerRequest,
    worker: PoolWorker,
    helper: PoolWorker,
    { signal, onProgress }: RequestOptions,
  ): Promise<LayerSummary> {
    const ring = this.#rings.pop() ?? createRing();
    const { name, file, compression, digest, diffId } = request;
    const stored = { name, file, compression, diffId, ...(digest === undefined ? {} : { digest }) };
    const failed = new AbortController();
    const options = { signal: AbortSignal.any([signal, failed.signal]), onProgress };
    // The other would wait for ever.
    const orStop = <T>(work: Promise<T>): Promise<T> => {
      work.catch((error) => failed.abort(error));
      return work;
    };
    const inflating = orStop(
      helper.ask({
        kind: "inflate-layer",
        ...stored,
        id: this.#nextId++,
        cancelled: new SharedArrayBuffer(4),
        ring,
      }, options).then((answer) => succeeded(answer, options.signal)),
    );
    const applying = orStop(this.#applyAlone({ ...request, ring }, worker, options));
    const [, applied] = await Promise.allSettled([inflating, applying]);
    failed.signal.throwIfAborted();
    if (applied.status === "rejected") throw applied.reason;
    // One that a failed request has used may still be written to, if its worker did not end.
    resetRing(ring);
    this.#rings.push(ring);
    return applied.value;
  }

  /** A worker that is free, or one more, or the next that becomes free. */
  async #acquire(signal: AbortSignal): Promise<PoolWorker> {
    do {
      const idle = await this.#takeIdle();
      if (idle !== undefined) return idle;
      signal.throwIfAborted();
      // One may have become free meanwhile, when nobody waited.
    } while (this.#idle.length > 0 || this.#all.size < this.#size);
    const { promise, resolve, reject } = Promise.withResolvers<PoolWorker>();
    const waiting = { resolve, reject };
    const leave = (): void => {
      this.#waiting.delete(waiting);
      reject(signal.reason);
    };
    this.#waiting.add(waiting);
    signal.addEventListener("abort", leave);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** A worker that nobody waits for: one that is free, or one more, if there may be more. */
  async #takeIdle(): Promise<PoolWorker | undefined> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isUsable) return idle;
      await idle.end();
      this.#all.delete(idle);
    }
    return this.#all.size < this.#size ? this.#start() : undefined;
  }

  async #release(worker: PoolWorker): Promise<void> {
    if (!worker.isUsable) {
      await worker.end();
      this.#all.delete(worker);
    }
    const [next] = this.#waiting;
    if (next === undefined) {
      if (worker.isUsable) this.#idle.push(worker);
      return;
    }
    this.#waiting.delete(next);
    try {
      next.resolve(worker.isUsable ? worker : this.#start());
    } catch (error) {
      next.reject(error);
    }
  }

  #start(): PoolWorker {
    const worker = new PoolWorker(this.#url, this.#waits, this.#warn);
    this.#all.add(worker);
    return worker;
  }
}

/** What a worker answered, if it did not fail. @throws why it was cancelled, or what it reports */
function succeeded(answer: Answer, signal: AbortSignal): Exclude<Answer, { kind: "failed" }> {
  signal.throwIfAborted();
  if (answer.kind === "failed") throw decodeError(answer.error);
  return answer;
}
