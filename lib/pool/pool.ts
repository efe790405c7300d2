/**
 * The pool: workers, and one request at a time for each.
 *
 * @module
 */

import { decodeError } from "./errors.ts";
import { PoolWorker, type RequestOptions, type Waits } from "./pool_worker.ts";
import type { ApplyLayer, LayerSummary } from "./protocol.ts";

export type { RequestOptions } from "./pool_worker.ts";

const defaultWaits: Waits = { start: 30_000, stop: 10_000, end: 10_000 };

/** A request that waits for a worker. */
interface Waiting {
  readonly resolve: (worker: PoolWorker) => void;
  readonly reject: (error: unknown) => void;
}

/** Workers that apply layers. Disposing of it ends them; nothing they do goes on after that. */
export class WorkerPool implements AsyncDisposable {
  readonly #url: URL;
  readonly #size: number;
  readonly #waits: Waits;
  readonly #idle: PoolWorker[] = [];
  readonly #all = new Set<PoolWorker>();
  readonly #waiting = new Set<Waiting>();
  readonly #running = new Set<Promise<unknown>>();
  #nextId = 0;

  /**
   * @param url the workers' module
   * @param size how many there are at most; each is started when it is first needed
   * @param waits how long they may take, where the defaults are not right
   */
  constructor(url: URL, size: number, waits: Partial<Waits> = {}) {
    this.#url = url;
    this.#size = size;
    this.#waits = { ...defaultWaits, ...waits };
  }

  /**
   * Apply a layer, as soon as a worker is free.
   *
   * @throws {EnrootError} what the worker reports; code `worker-died` when it did; the signal's reason
   * when it was cancelled. Whatever it is, the worker does nothing for this layer any more.
   */
  async applyLayer(
    request: Omit<ApplyLayer, "id" | "cancelled">,
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

  async #apply(
    request: Omit<ApplyLayer, "id" | "cancelled">,
    options: RequestOptions,
  ): Promise<LayerSummary> {
    const { signal } = options;
    signal.throwIfAborted();
    const worker = await this.#acquire(signal);
    try {
      signal.throwIfAborted();
      const cancelled = new SharedArrayBuffer(4);
      const whole: ApplyLayer = { ...request, id: this.#nextId++, cancelled };
      const answer = await worker.ask(whole, options);
      signal.throwIfAborted();
      if (answer.kind === "failed") throw decodeError(answer.error);
      return answer.summary;
    } finally {
      await this.#release(worker);
    }
  }

  /** A worker that is free, or one more, or the next that becomes free. */
  async #acquire(signal: AbortSignal): Promise<PoolWorker> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isUsable) return idle;
      await idle.end();
      this.#all.delete(idle);
    }
    if (this.#all.size < this.#size) return this.#start();
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
    const worker = new PoolWorker(this.#url, this.#waits);
    this.#all.add(worker);
    return worker;
  }
}
