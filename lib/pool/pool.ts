/**
 * The pool: workers, and one request at a time for each.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { decodeError } from "./errors.ts";
import type { ApplyLayer, LayerSummary, Reply, Request } from "./protocol.ts";

/** How long a worker may take to notice that its request is cancelled, in milliseconds. */
const patience = 10_000;

/** How a request goes on. */
export interface RequestOptions {
  /** Cancels it. */
  readonly signal: AbortSignal;
  /** Told how many more stored bytes were read. */
  readonly onProgress: (bytes: number) => void;
}

/** Workers that apply layers. Disposing of it ends them; nothing they do goes on after that. */
export class WorkerPool implements AsyncDisposable {
  readonly #url: URL;
  readonly #size: number;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #waiting: ((worker: Worker) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #nextId = 0;

  /**
   * @param url the workers' module
   * @param size how many there are at most; each is started when it is first needed
   */
  constructor(url: URL, size: number) {
    this.#url = url;
    this.#size = size;
  }

  /**
   * Apply a layer, as soon as a worker is free.
   *
   * @throws {EnrootError} what the worker reports; code `worker-died` when it did; the signal's reason
   * when it was cancelled, once the worker has stopped
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
    for (const worker of this.#all) worker.terminate();
    this.#all.clear();
  }

  async #apply(
    request: Omit<ApplyLayer, "id" | "cancelled">,
    options: RequestOptions,
  ): Promise<LayerSummary> {
    options.signal.throwIfAborted();
    const worker = await this.#acquire();
    let isUsable = false;
    try {
      const cancelled = new SharedArrayBuffer(4);
      const whole: ApplyLayer = { ...request, id: this.#nextId++, cancelled };
      const reply = await this.#ask(worker, whole, options);
      isUsable = true;
      options.signal.throwIfAborted();
      if (reply.kind === "failed") throw decodeError(reply.error);
      return reply.summary;
    } finally {
      this.#release(worker, isUsable);
    }
  }

  /** Send a request and wait for its end; a cancelled one is given time to stop by itself. */
  async #ask(
    worker: Worker,
    request: ApplyLayer,
    { signal, onProgress }: RequestOptions,
  ): Promise<Exclude<Reply, { kind: "progress" }>> {
    const { promise, resolve, reject } = Promise.withResolvers<
      Exclude<Reply, { kind: "progress" }>
    >();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const cancel = (): void => {
      Atomics.store(new Int32Array(request.cancelled), 0, 1);
      timer = setTimeout(() => reject(died(request, "it did not stop when told to")), patience);
    };
    const onMessage = ({ data }: MessageEvent<Reply>): void => {
      if (data.id !== request.id) return;
      if (data.kind === "progress") onProgress(data.bytes);
      else resolve(data);
    };
    const onError = (event: ErrorEvent): void => {
      event.preventDefault();
      reject(died(request, event.message));
    };
    signal.addEventListener("abort", cancel);
    worker.addEventListener("message", onMessage);
    worker.addEventListener("error", onError);
    try {
      worker.postMessage(request satisfies Request);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      worker.removeEventListener("message", onMessage);
      worker.removeEventListener("error", onError);
    }
  }

  #acquire(): Promise<Worker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#all.size < this.#size) return Promise.resolve(this.#start());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(worker: Worker, isUsable: boolean): void {
    if (!isUsable) {
      worker.terminate();
      this.#all.delete(worker);
    }
    const next = this.#waiting.shift();
    if (next !== undefined) next(isUsable ? worker : this.#start());
    else if (isUsable) this.#idle.push(worker);
  }

  #start(): Worker {
    const worker = new Worker(this.#url, { type: "module" });
    this.#all.add(worker);
    return worker;
  }
}

function died({ name }: ApplyLayer, why: string): EnrootError {
  return new EnrootError("worker-died", `${name}: the worker that applied it failed: ${why}`);
}
