/**
 * A place to run the built executable in: a home, a runtime folder, a temporary folder and a
 * working folder of its own, as root or as a plain user.
 *
 * @module
 */

import { attempt, type Options, type Result, run, spawn } from "./command.ts";

/** Who runs the executable. */
export type User = "root" | "plain user";

/** The users that this process can be: a plain user cannot become root. */
export const users: readonly User[] = Deno.uid() === 0 ? ["root", "plain user"] : ["plain user"];

/** For what takes minutes for each: those, or only the plain user, for whom it is harder. */
export const slowUsers: readonly User[] = Deno.args.includes("all-users") ? users : users.slice(-1);

const plainUid = 12345;
const top = new URL("../../", import.meta.url).pathname;

/** The executable under test: `ENROOT_UNDER_TEST`, or the one that `deno task compile` makes. */
export const executable: string = Deno.env.get("ENROOT_UNDER_TEST") ?? `${top}dist/enroot`;

/** How to run the executable. */
export interface RunOptions extends Options {
  /** Variables to take away from {@linkcode Bed.env}. */
  readonly without?: readonly string[];
}

/** A bed, see the module. Disposing of it removes all of it. */
export class Bed implements AsyncDisposable {
  readonly #root: string;
  readonly #user: User;
  readonly #enroot: string;

  private constructor(root: string, user: User, enroot: string) {
    this.#root = root;
    this.#user = user;
    this.#enroot = enroot;
  }

  /** Make a bed that belongs to the user. */
  static async make(user: User): Promise<Bed> {
    const root = await Deno.makeTempDir({ prefix: "zenroot-bed-" });
    // The executable is copied alone: nothing of the checkout is beside it, and any user reaches it.
    const enroot = `${root}/bin/enroot`;
    await Deno.mkdir(`${root}/bin`);
    await Deno.copyFile(executable, enroot);
    await Deno.chmod(enroot, 0o755);
    for (const name of ["home", "run", "tmp", "work", "etc"]) await Deno.mkdir(`${root}/${name}`);
    await Deno.chmod(root, 0o755);
    const bed = new Bed(root, user, enroot);
    await bed.own();
    return bed;
  }

  /** The user's home folder. */
  get home(): string {
    return `${this.#root}/home`;
  }
  /** The folder that commands run in. */
  get work(): string {
    return `${this.#root}/work`;
  }
  /** `TMPDIR`. */
  get temp(): string {
    return `${this.#root}/tmp`;
  }
  /** `XDG_RUNTIME_DIR`. */
  get runtime(): string {
    return `${this.#root}/run`;
  }
  /** Where enroot's system configuration is looked for; empty. */
  get sysconf(): string {
    return `${this.#root}/etc`;
  }
  /** Where containers are, by default. */
  get data(): string {
    return `${this.home}/.local/share/enroot`;
  }
  /** Who runs commands here. */
  get user(): User {
    return this.#user;
  }
  /** The numeric user ID of commands here. */
  get uid(): number {
    return this.#user === "plain user" && Deno.uid() === 0 ? plainUid : Deno.uid() ?? 0;
  }
  /** The executable here. */
  get executable(): string {
    return this.#enroot;
  }

  /** The environment that commands get, all of it. */
  get env(): Record<string, string> {
    return {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: this.home,
      XDG_RUNTIME_DIR: this.runtime,
      TMPDIR: this.temp,
      LC_ALL: "C.UTF-8",
      ENROOT_SYSCONF_PATH: this.sysconf,
      ENROOT_ALLOW_HTTP: "y",
    };
  }

  /** Run `enroot` with these arguments to its end. */
  enroot(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.run([this.#enroot, ...args], options);
  }

  /** Run `enroot`, which must succeed, for what it prints. @throws {Error} with stderr otherwise */
  async succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, signal, stdout, stderr } = await this.enroot(args, options);
    if (code === 0) return stdout;
    throw new Error(`enroot ${args.join(" ")} ended with ${signal ?? code}:\n${stderr}${stdout}`);
  }

  /** Run any program as this bed's user. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
    return attempt(argv, this.#complete(options));
  }

  /** Start any program as this bed's user; the process ID is the program's own. */
  start(
    argv: readonly string[],
    options: RunOptions & { readonly stdin?: "piped" } = {},
  ): Deno.ChildProcess {
    return spawn(argv, this.#complete(options));
  }

  /** Give all that is in this bed to its user, after a test has put something there. */
  async own(): Promise<void> {
    if (this.uid === Deno.uid()) return;
    const folders = ["home", "run", "tmp", "work"].map((name) => `${this.#root}/${name}`);
    await run(["chown", "-R", `${this.uid}:${this.uid}`, ...folders]);
  }

  /**
   * What is in the working, temporary and data folders: for a comparison before and after a
   * command that must leave nothing behind. The store's own empty folder does not count.
   */
  async contents(): Promise<string[]> {
    const { stdout } = await attempt(
      ["find", "work", "tmp", "home/.local/share/enroot", "-mindepth", "1", "-print0"],
      { cwd: this.#root },
    );
    return stdout.split("\0").slice(0, -1)
      .filter((path) => path !== "home/.local/share/enroot/.staging").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Root filesystems hold folders without write permission, for whoever is not root.
    await run(["chmod", "-R", "u+rwX", this.#root]).catch(() => {});
    await Deno.remove(this.#root, { recursive: true });
  }

  #complete({ env, without = [], ...rest }: RunOptions): Options {
    const kept = Object.entries(this.env).filter(([name]) => !without.includes(name));
    const all = { ...Object.fromEntries(kept), ...env };
    const who = this.uid === Deno.uid() ? {} : { uid: this.uid, gid: this.uid };
    return { cwd: this.work, ...rest, ...who, env: all, clearEnv: true };
  }
}
