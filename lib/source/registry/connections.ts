/**
 * What several images share that are fetched at once: connections, tokens and turns.
 *
 * @module
 */

import { Limiter } from "../limiter.ts";
import type { SourceOptions } from "../options.ts";
import { Transport } from "./transport.ts";

/** What is shared. Disposing of it closes what is open; nothing may be asked for any more then. */
export class Connections implements Disposable {
  /** Whose turn it is to fetch a blob. */
  readonly limiter: Limiter;
  readonly #transports = new Map<string, Transport>();

  /** @param maxConnections how many blobs are fetched at once, of all images; 0: no limit */
  constructor(maxConnections: number) {
    this.limiter = new Limiter(maxConnections);
  }

  /**
   * A registry, asked as a user: the same one each time.
   *
   * @param options those of the first who asks count: what is shared ends with their signal and tells
   * their log
   * @throws {EnrootError} as the constructor of {@linkcode Transport}
   */
  transport(host: string, options: SourceOptions, user: string | undefined): Transport {
    const key = `${user ?? ""}@${host}`;
    const transport = this.#transports.get(key) ?? new Transport(host, options, user);
    this.#transports.set(key, transport);
    return transport;
  }

  [Symbol.dispose](): void {
    for (const transport of this.#transports.values()) transport[Symbol.dispose]();
    this.#transports.clear();
  }
}
