/**
 * A temporary folder that is gone however its owner ends.
 *
 * @module
 */

/** A shell that waits for the end of its input, which is the end of whoever holds the other side. */
const remover = 'trap "" HUP INT TERM; cat >/dev/null; rm -rf -- "$@"';

/** A temporary folder. Disposing of it removes it; so does the end of this process, by `kill -9` too. */
export class Scratch implements AsyncDisposable {
  private constructor(readonly path: string, readonly remover: Deno.ChildProcess) {}

  /** Make one. @param others says what else is to be removed with it, of a folder of this path */
  static async make(others: (path: string) => readonly string[] = () => []): Promise<Scratch> {
    const path = await Deno.makeTempDir({ prefix: "zenroot-vm-" });
    const child = new Deno.Command("sh", {
      args: ["-c", remover, "sh", path, ...others(path)],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return new Scratch(path, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remover.stdin.close();
    await this.remover.status;
  }
}
