/**
 * Programs that serve this process, and end with it.
 *
 * @module
 */

/** How much of what a program says is kept for a message. */
const kept = 4096;

/** A program that is killed when it is disposed of, or when this process ends in any way. */
export class Child implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #said: Promise<void>;
  #stderr = "";

  /** Start a program. @param argv the program and its arguments */
  constructor(argv: readonly string[]) {
    this.#name = argv[0] ?? "";
    this.#process = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "--", ...argv],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#said = this.#listen();
  }

  /** Resolves when it has ended. */
  get ended(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /** The end of what it said on stderr. */
  get said(): string {
    return this.#stderr.trim();
  }

  /** Wait for something that comes from this program. @throws {Error} when the program ends first */
  async first<T>(awaited: Promise<T>): Promise<T> {
    // When the program ends first, nobody waits for it any more.
    awaited.catch(() => {});
    return await Promise.race([
      awaited,
      this.ended.then(async ({ code, signal }) => {
        await this.#said;
        throw new Error(`${this.#name} ended with ${signal ?? code}: ${this.said}`);
      }),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await Promise.all([this.ended, this.#said]);
  }

  async #listen(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#stderr = (this.#stderr + text).slice(-kept);
    }
  }
}
