/**
 * The executable alone in a folder, with a home, a runtime folder and a temporary folder that start
 * out empty: how it is on a node that it was just copied to.
 *
 * @module
 */

import { executable } from "./bed.ts";
import { attempt, type Result, run } from "./command.ts";

const plainUid = 12345;

/** How to run it. */
export interface LoneRun {
  /** Variables on top of {@linkcode LoneExecutable.env}; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Programs in front of it, like `prlimit`. */
  readonly through?: readonly string[];
}

/** The executable alone, see the module. Disposing of it removes all of it. */
export class LoneExecutable implements AsyncDisposable {
  private constructor(readonly root: string, readonly path: string) {}

  /** Copy an executable, by default the one under test, to a place of its own. */
  static async make(source: string = executable): Promise<LoneExecutable> {
    const root = await Deno.makeTempDir({ prefix: "zenroot-lone-" });
    await Deno.mkdir(`${root}/bin`);
    const lone = new LoneExecutable(root, `${root}/bin/enroot`);
    await Deno.copyFile(source, lone.path);
    await Deno.chmod(lone.path, 0o755);
    for (const path of [lone.home, lone.runtime, lone.temp, lone.sysconf]) {
      await Deno.mkdir(path, { mode: 0o700 });
      await Deno.chown(path, lone.uid, lone.uid);
    }
    await Deno.chmod(root, 0o755);
    return lone;
  }

  /** Whom it is run as: never root, who may write everywhere. */
  get uid(): number {
    return Deno.uid() === 0 ? plainUid : Deno.uid() ?? 0;
  }
  /** `HOME`. */
  get home(): string {
    return `${this.root}/home`;
  }
  /** `XDG_RUNTIME_DIR`. */
  get runtime(): string {
    return `${this.root}/run`;
  }
  /** `TMPDIR`. */
  get temp(): string {
    return `${this.root}/tmp`;
  }
  /** The folder of the system's configuration. */
  get sysconf(): string {
    return `${this.root}/etc`;
  }
  /** Where it unpacks to first. */
  get payloads(): string {
    return `${this.home}/.cache/enroot/payload`;
  }
  /** All of its environment. */
  get env(): Record<string, string> {
    return {
      PATH: "/usr/bin:/bin",
      HOME: this.home,
      XDG_RUNTIME_DIR: this.runtime,
      TMPDIR: this.temp,
      ENROOT_SYSCONF_PATH: this.sysconf,
    };
  }

  /** Run it to its end. */
  enroot(args: readonly string[], options: LoneRun = {}): Promise<Result> {
    const id = String(this.uid);
    const become = this.uid === Deno.uid()
      ? []
      : ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"];
    // The variables are set last: what steers a dynamic loader is not for the programs in front.
    const variables = Object.entries({ ...this.env, ...options.env })
      .flatMap(([name, value]) => value === undefined ? [] : [`${name}=${value}`]);
    const { through = [] } = options;
    return attempt(
      [...become, ...through, "env", "-i", ...variables, this.path, ...args],
      { cwd: this.root },
    );
  }

  /** The one unpacked payload. @throws {Error} when there is none, or more than that */
  async payload(folder: string = this.payloads): Promise<string> {
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
      .filter((name) => name !== "lock");
    if (names.length !== 1) throw new Error(`in ${folder} there is: ${names.join(", ")}`);
    return `${folder}/${names[0]}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["chmod", "-R", "u+rwX", this.root]).catch(() => {});
    await Deno.remove(this.root, { recursive: true });
  }
}
