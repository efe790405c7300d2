/**
 * Waiting for another process of this host, while the other end looks on.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { LockOptions } from "../storage/zfs/key_lock.ts";
import type { Channel } from "./channel.ts";
import { sayWait } from "./messages.ts";

/** How long a process is waited for that is there, in milliseconds: it may be receiving much, or hang. */
const longest = 60 * 60_000;

/** How a wait is told about, and ended. */
export interface WaitOptions {
  /** Told for whom, at this end; the other one is told, too. */
  readonly onWait: (holder: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** In milliseconds. */
  readonly limit?: number;
}

/** A wait before a stream. It ends also when the other end fails or is gone. Disposing of it ends its counting. */
export class Wait implements LockOptions, Disposable {
  readonly signal: AbortSignal;
  readonly #channel: Channel;
  readonly #options: WaitOptions;
  readonly #tooLong = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param channel on which nothing is to be heard until the wait is over */
  constructor(channel: Channel, options: WaitOptions) {
    this.#channel = channel;
    this.#options = options;
    this.signal = AbortSignal.any([options.signal, channel.listen(), this.#tooLong.signal]);
  }

  readonly onWait = (holder: string): void => {
    const { limit = longest } = this.#options;
    this.#options.onWait(holder);
    // Where nobody hears it any more, the wait ends.
    sayWait(this.#channel, holder).catch(() => {});
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tooLong.abort(tooLong(holder, limit)), limit);
  };

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function tooLong(holder: string, limit: number): EnrootError {
  return new EnrootError(
    "busy",
    `${holder} has been receiving the same for ${Math.round(limit / 60_000)} minutes: ` +
      "end it if it hangs, then run the command again",
  );
}
