/**
 * A pool of its own, in a file: for tests that fill one, or that have the machine "reboot".
 *
 * @module
 */

import { attempt, run } from "./command.ts";

/** A pool. Disposing of it destroys it with everything in it. */
export class TestPool implements AsyncDisposable {
  readonly name: string;
  readonly #folder: string;

  private constructor(name: string, folder: string) {
    this.name = name;
    this.#folder = folder;
  }

  /** Make one. @param size in bytes; at least 64 MiB */
  static async make(size: number): Promise<TestPool> {
    const folder = await Deno.makeTempDir({ prefix: "zenroot-pool-" });
    const pool = new TestPool(`zenroot-${crypto.randomUUID().slice(0, 8)}`, folder);
    try {
      await run(["truncate", "-s", String(size), `${folder}/image`]);
      await run(["zpool", "create", ...pool.#options, "-m", "none", pool.name, `${folder}/image`]);
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
    return pool;
  }

  /**
   * What a reboot does to it: nothing is mounted afterwards but what mounts itself.
   *
   * @throws {Error} when something of it is still in use after ten seconds
   */
  async reboot(): Promise<void> {
    for (const end = Date.now() + 10_000;;) {
      const { code, stderr } = await attempt(["zpool", "export", this.name]);
      if (code === 0) break;
      if (Date.now() > end) throw new Error(stderr);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await run(["zpool", "import", ...this.#options, "-d", this.#folder, this.name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["zpool", "destroy", "-f", this.name]);
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** The machine's own list of pools is none of its business. */
  get #options(): string[] {
    return ["-o", "cachefile=none"];
  }
}
