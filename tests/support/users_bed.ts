/**
 * Several users of one machine with a ZFS pool, set up as `docs/zfs.md` says: a store of templates that
 * root fills, and a store for each user, which the example prolog makes.
 *
 * The machine's own `/etc/enroot` is used, because the mount helper and the prolog read nothing else.
 *
 * @module
 */

import { executable } from "./bed.ts";
import { attempt, type Result } from "./command.ts";
import { installHelper, testPool, writeSystemConfig, zfs } from "./zfs_bed.ts";

const prolog = new URL("../../packaging/share/slurm-prolog", import.meta.url).pathname;
const prologConfig = "/etc/enroot/slurm-prolog.conf";

/** A user, by number: none needs to be in a passwd file. */
export interface TestUser {
  readonly uid: number;
  readonly gid: number;
}

/** How a command is run. */
export interface UserOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A machine, see the module. Disposing of it destroys its datasets and puts the configuration back. */
export class UsersBed implements AsyncDisposable {
  /** The folder of everything. */
  readonly root: string;
  /** The dataset of everything. */
  readonly dataset: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(root: string, dataset: string, stack: AsyncDisposableStack) {
    this.root = root;
    this.dataset = dataset;
    this.#stack = stack;
  }

  /** Make one without users. */
  static async make(): Promise<UsersBed> {
    await using stack = new AsyncDisposableStack();
    const root = await Deno.makeTempDir({ prefix: "zenroot-users-" });
    await Deno.chmod(root, 0o755);
    stack.defer(() => Deno.remove(root, { recursive: true }));
    const dataset = `${testPool()}/${crypto.randomUUID()}`;
    const bed = new UsersBed(root, dataset, stack);
    for (const name of ["bin", "stores", "homes"]) await Deno.mkdir(`${root}/${name}`);
    await Deno.copyFile(executable, bed.program);
    await Deno.chmod(bed.program, 0o755);
    await installHelper(bed.helper);
    await bed.makeHome(0);
    stack.use(await writeSystemConfig(bed.configuration));
    await Deno.writeTextFile(
      prologConfig,
      `stores=${bed.stores}\nfolder=${root}/stores\nquota=1G\ndatasets=40\n`,
    );
    stack.defer(() => Deno.remove(prologConfig));
    await zfs("create", "-o", "mountpoint=none", dataset);
    stack.defer(() => bed.#destroy());
    await zfs("create", "-o", "canmount=off", bed.stores);
    const templates = [`mountpoint=${root}/templates`, "xattr=sa", "setuid=off", "devices=off"];
    await zfs("create", ...templates.flatMap((each) => ["-o", each]), bed.templates);
    await zfs("allow", "-e", "clone", bed.templates);
    return new UsersBed(root, dataset, stack.move());
  }

  /** The executable. */
  get program(): string {
    return `${this.root}/bin/enroot`;
  }
  /** The mount helper beside it. */
  get helper(): string {
    return `${this.root}/bin/enroot-zfs-mount`;
  }
  /** The dataset of the shared templates. */
  get templates(): string {
    return `${this.dataset}/templates`;
  }
  /** The dataset of the users' stores. */
  get stores(): string {
    return `${this.dataset}/users`;
  }
  /** The system's `enroot.conf`. */
  get configuration(): string {
    return [
      "ENROOT_STORAGE_BACKEND zfs",
      `ENROOT_DATA_PATH ${this.root}/stores/\${UID}`,
      `ENROOT_TEMPLATE_STORE ${this.templates}`,
      "ENROOT_ALLOW_HTTP y",
      "",
    ].join("\n");
  }

  /** A user's own dataset. */
  store({ uid }: TestUser): string {
    return `${this.stores}/${uid}`;
  }
  /** Where it is mounted. */
  path({ uid }: TestUser): string {
    return `${this.root}/stores/${uid}`;
  }
  /** Where a user's commands run. */
  home(uid: number): string {
    return `${this.root}/homes/${uid}`;
  }

  /** Give a user a home. */
  async makeHome(uid: number, gid: number = uid): Promise<void> {
    for (const name of ["", "/.config", "/.config/enroot", "/run", "/tmp"]) {
      await Deno.mkdir(`${this.home(uid)}${name}`);
      await Deno.chown(`${this.home(uid)}${name}`, uid, gid);
    }
  }

  /** Run the prolog for a job of a user. */
  prolog({ uid, gid }: { readonly uid: number | string; readonly gid: number }): Promise<Result> {
    const env = { SLURM_JOB_UID: `${uid}`, SLURM_JOB_GID: `${gid}` };
    return attempt([prolog], { clearEnv: true, env });
  }

  /** Write a user's credentials for registries. */
  async logIn({ uid, gid }: TestUser, netrc: string): Promise<void> {
    const path = `${this.home(uid)}/.config/enroot/.credentials`;
    await Deno.writeTextFile(path, netrc, { mode: 0o600 });
    await Deno.chown(path, uid, gid);
  }

  /** Run `enroot` as a user; root has 0. */
  enroot(
    { uid, gid }: TestUser,
    args: readonly string[],
    options: UserOptions = {},
  ): Promise<Result> {
    return this.run({ uid, gid }, [this.program, ...args], options);
  }

  /** Run `enroot` as a user; it must succeed. @returns what it printed, and what it logged */
  async succeed(
    user: TestUser,
    args: readonly string[],
    options: UserOptions = {},
  ): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const { code, stdout, stderr } = await this.enroot(user, args, options);
    if (code === 0) return { stdout, stderr };
    throw new Error(`uid ${user.uid}: enroot ${args.join(" ")}: ${code}\n${stderr}${stdout}`);
  }

  /** What a user's commands find in their environment, all of it. */
  environment({ uid }: TestUser): Record<string, string> {
    const home = this.home(uid);
    return {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: home,
      XDG_RUNTIME_DIR: `${home}/run`,
      TMPDIR: `${home}/tmp`,
      LC_ALL: "C.UTF-8",
    };
  }

  /** Run any program as a user. */
  run(
    user: TestUser,
    argv: readonly string[],
    { env = {}, input }: UserOptions = {},
  ): Promise<Result> {
    const { uid, gid } = user;
    return attempt(argv, {
      cwd: this.home(uid),
      clearEnv: true,
      env: { ...this.environment(user), ...env },
      ...(uid === 0 ? {} : { uid, gid }),
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Every dataset below the users' stores with its origin, relative to the dataset of everything. */
  async origins(): Promise<Map<string, string>> {
    const text = await zfs("list", "-H", "-o", "name,origin", "-r", this.stores);
    const relative = (name: string): string => name.replace(`${this.dataset}/`, "");
    return new Map(
      text.trimEnd().split("\n").map((line) => line.split("\t").map(relative))
        .map(([name = "", origin = ""]) => [name, origin]),
    );
  }

  async #destroy(): Promise<void> {
    const table = await Deno.readTextFile("/proc/self/mountinfo");
    const paths = table.split("\n").map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(`${this.root}/`));
    for (const path of paths.reverse()) await attempt(["umount", "-l", path]);
    for (let tries = 1;; tries++) {
      const { code, stderr } = await attempt(["zfs", "destroy", "-R", this.dataset]);
      if (code === 0) return;
      if (tries === 5) throw new Error(stderr);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
