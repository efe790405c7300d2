/**
 * A program on a terminal of its own, by tmux: what is typed is keys, and what is seen is the screen.
 *
 * @module
 */

import type { Bed, RunOptions } from "./bed.ts";

const patience = 15_000;

/** An interactive shell whose prompt is `>`. Disposing of it ends the shell and its tmux. */
export class Screen implements AsyncDisposable {
  private constructor(
    readonly bed: Bed,
    private readonly tmux: (...args: string[]) => Promise<string>,
  ) {}

  /**
   * Start a shell and have it run lines, the last of which sets the prompt.
   *
   * @throws {Error} when tmux cannot start it, or no prompt comes
   */
  static async start(
    bed: Bed,
    argv: readonly string[],
    lines: readonly string[],
    options: RunOptions,
  ): Promise<Screen> {
    const socket = `${bed.temp}/tmux`;
    const tmux = async (...args: string[]): Promise<string> => {
      const call = ["tmux", "-f", "/dev/null", "-S", socket, ...args];
      const { code, stdout, stderr } = await bed.run(call, options);
      if (code !== 0) throw new Error(`tmux ${args.join(" ")} ended with ${code}: ${stderr}`);
      return stdout;
    };
    await tmux("new-session", "-d", "-x", "150", "-y", "50", ...argv);
    const screen = new Screen(bed, tmux);
    try {
      for (const line of lines) await screen.#type(line, "Enter");
      await screen.#clear();
    } catch (error) {
      await screen[Symbol.asyncDispose]();
      throw error;
    }
    return screen;
  }

  /** Have the shell run a line. */
  async enter(line: string): Promise<void> {
    await this.#type(line, "Enter");
    await this.#clear();
  }

  /**
   * Type a line and press Tab.
   *
   * @returns the line as it is then, with the blank that is added
   * @throws {Error} when anything else is shown
   */
  async complete(typed: string): Promise<string> {
    // What is typed behind it shows that Tab was dealt with, and where the line ends.
    await this.#type(typed, "Tab");
    await this.#type("@");
    const line = await this.#line((each) => each.endsWith("@"), true);
    await this.tmux("send-keys", "C-u");
    await this.#clear();
    return line.slice(1, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux("kill-server").catch(() => {});
  }

  async #type(text: string, ...keys: string[]): Promise<void> {
    await this.tmux("send-keys", "-l", text);
    if (keys.length > 0) await this.tmux("send-keys", ...keys);
  }

  async #clear(): Promise<void> {
    await this.tmux("send-keys", "C-l");
    await this.#line((each) => each === ">", true);
  }

  /** The last line with a prompt, once it is as wanted. */
  async #line(isWanted: (line: string) => boolean, isAlone = false): Promise<string> {
    const end = Date.now() + patience;
    while (true) {
      const text = await this.tmux("capture-pane", "-p");
      const line = text.split("\n").findLast((each) => each.startsWith(">")) ?? "";
      if (isWanted(line) && (!isAlone || text.trim() === line)) return line;
      if (Date.now() > end) throw new Error(`the screen shows:\n${text.trim()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
