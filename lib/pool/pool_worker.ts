/**
 * One worker of the pool, and the thread it runs in.
 *
 * A worker tells nobody that it has ended, and `terminate()` only asks for its end: the thread goes on
 * until it is out of whatever it does. So the thread itself is watched, in `/proc`.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Answer, Reply, Request } from "./protocol.ts";

/** How long a worker may take, in milliseconds. */
export interface Waits {
  /** Until it says that it takes requests. */
  readonly start: number;
  /** Until it answers a request that was cancelled. */
  readonly stop: number;
  /** Until its thread is gone once it was told to end. */
  readonly end: number;
}

/** How a request goes on. */
export interface RequestOptions {
  /** Cancels it. */
  readonly signal: AbortSignal;
  /** Told how many more stored bytes were read. */
  readonly onProgress: (bytes: number) => void;
}

/** How often a worker that is silent is looked after. */
const lookAfter = 250;

/** The request that is under way. */
interface Pending {
  readonly id: number;
  readonly onProgress: (bytes: number) => void;
  readonly resolve: (answer: Answer) => void;
  readonly fail: (why: string) => void;
  /** Tell the thread to stop: the one way to make it, because `terminate()` does not end what it is at. */
  readonly stop: () => void;
}

/** A worker, which takes one request at a time. */
export class PoolWorker {
  readonly #worker: Worker;
  readonly #waits: Waits;
  readonly #warn: (message: string) => void;
  #looks = 0;
  #thread: string | undefined;
  /** What it was asked for last. */
  #last = "no layer yet";
  #pending: Pending | undefined;
  #failure: string | undefined;
  #wasGone = false;

  /**
   * Start it.
   *
   * @param url its module
   * @param warn told when its thread does not end
   */
  constructor(url: URL, waits: Waits, warn: (message: string) => void) {
    this.#waits = waits;
    this.#warn = warn;
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.addEventListener("message", ({ data }) => this.#hear(data));
    this.#worker.addEventListener("error", (event) => {
      // It would end this program.
      event.preventDefault();
      this.#fail(event.message);
    });
  }

  /** Whether another request makes sense. */
  get isUsable(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Send a request and wait for its end; a cancelled one is given time to stop by itself.
   *
   * @throws {EnrootError} code `worker-died`: it is of no use any more, and is still to be ended
   */
  async ask(request: Request, { signal, onProgress }: RequestOptions): Promise<Answer> {
    // It may have failed while it was started, when nobody had asked yet.
    if (this.#failure !== undefined) throw died(request, this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const stop = (): void => void Atomics.store(new Int32Array(request.cancelled), 0, 1);
    const fail = (why: string): void => {
      // It may go on all the same, and what it writes to is about to be undone.
      stop();
      reject(died(request, why));
    };
    this.#last = request.name;
    this.#pending = { id: request.id, onProgress, resolve, fail, stop };
    let patience: ReturnType<typeof setTimeout> | undefined;
    const cancel = (): void => {
      stop();
      patience = setTimeout(() => this.#fail("it did not stop when told to"), this.#waits.stop);
    };
    const watch = setInterval(() => this.#look(), lookAfter);
    signal.addEventListener("abort", cancel);
    try {
      if (signal.aborted) cancel();
      this.#worker.postMessage(request);
      return await promise;
    } finally {
      clearInterval(watch);
      clearTimeout(patience);
      signal.removeEventListener("abort", cancel);
      this.#pending = undefined;
    }
  }

  /**
   * End it, and wait until its thread is gone: nothing that it does goes on after that. One that stays,
   * as in a call to a file system that does not answer, is warned of.
   */
  async end(): Promise<void> {
    this.#failure ??= "it was ended";
    this.#pending?.stop();
    this.#worker.terminate();
    const deadline = performance.now() + this.#waits.end;
    for (let pause = 1; this.#isAlive() && performance.now() < deadline; pause *= 2) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 100)));
    }
    if (!this.#isAlive()) return;
    this.#warn(
      `${this.#last}: the thread of its worker, /proc/${this.#thread}, is still there ` +
        `${
          this.#waits.end / 1000
        } s after it was told to end, and may still write where the layer was to go`,
    );
  }

  #hear(reply: Reply): void {
    if (reply.kind === "ready") {
      this.#thread = reply.thread;
      return;
    }
    if (reply.id !== this.#pending?.id) return;
    if (reply.kind === "progress") this.#pending.onProgress(reply.bytes);
    else this.#pending.resolve(reply);
  }

  #fail(why: string): void {
    this.#failure ??= why;
    this.#pending?.fail(why);
  }

  #look(): void {
    if (this.#thread === undefined) {
      // By the looks and not by the clock: while this thread stood still, what the worker said waited.
      if (++this.#looks * lookAfter > this.#waits.start) this.#fail("it did not start");
    } else if (!this.#isAlive()) {
      // What it said last may still be on its way.
      if (this.#wasGone) this.#fail("it ended without an answer");
      this.#wasGone = true;
    }
  }

  #isAlive(): boolean {
    if (this.#thread === undefined) return false;
    try {
      Deno.lstatSync(`/proc/${this.#thread}`);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }
}

function died({ name, kind }: Request, why: string): EnrootError {
  const work = kind === "apply-layer" ? "applied" : "inflated";
  return new EnrootError("worker-died", `${name}: the worker that ${work} it failed: ${why}`);
}
