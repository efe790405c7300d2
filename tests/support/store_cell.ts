/**
 * A corner of the machine with a ZFS store of its own, for tests of the mount helper.
 *
 * It is a mount namespace: `/etc` in it is the test's, and so is what is mounted there. Nothing of it
 * is seen by the rest of the machine, and all of it goes with the namespace's last process.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { attempt, type Options, type Result, run, spawn } from "./command.ts";

const top = new URL("../../", import.meta.url).pathname;

/** Whose store it is; he is in no passwd file. */
export const owner = 12345;
/** Another user, with a store of his own beside it. */
export const other = 12346;

/** How the helper ends that has done what it was asked to. */
export const done: Result = { code: 0, signal: null, stdout: "", stderr: "" };
/** Options of a mount that nobody becomes root by. */
export const locked = /(?=.*\bnosuid\b)(?=.*\bnodev\b)/;

/** Wait until a program says something. */
export async function firstOutput(program: Deno.ChildProcess): Promise<void> {
  const reader = program.stdout.getReader();
  const { done: isOver } = await reader.read();
  reader.releaseLock();
  if (isOver) throw new Error(`it said nothing: ${await new Response(program.stderr).text()}`);
}

/** It was refused, in one line that names the rule. */
export function assertRefused({ code, stdout, stderr }: Result, rule: string): void {
  assertEquals({ code, stdout }, { code: 1, stdout: "" }, stderr);
  assert(/^enroot-zfs-mount: [^\n]*\n$/.test(stderr), stderr);
  assertStringIncludes(stderr, rule);
}

/** The pool's dataset for tests. @throws {Error} when the environment names none */
function testPool(): string {
  const pool = Deno.env.get("ENROOT_TEST_POOL");
  if (pool === undefined) throw new Error("ENROOT_TEST_POOL is not set: run `deno task test:zfs`");
  return pool;
}

/** A corner, see the module. Disposing of it destroys its datasets and ends its processes. */
export class StoreCell implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  #kept: AsyncDisposableStack | undefined;
  /** The folder of everything: `etc`, `bin` and `stores`. */
  readonly root: string;
  /** The dataset of everything. */
  readonly dataset: string;

  private constructor(root: string, dataset: string, holder: Deno.ChildProcess) {
    this.root = root;
    this.dataset = dataset;
    this.#holder = holder;
  }

  /** Make one with a store each for {@linkcode owner} and {@linkcode other}, configured by `${UID}`. */
  static async make(): Promise<StoreCell> {
    await using stack = new AsyncDisposableStack();
    const root = await Deno.makeTempDir({ prefix: "zenroot-cell-" });
    stack.defer(() => Deno.remove(root, { recursive: true }));
    for (const name of ["etc/enroot", "bin", "stores", "home"]) {
      await Deno.mkdir(`${root}/${name}`, { recursive: true });
    }
    await run(["chmod", "-R", "755", root]);
    await Deno.chown(`${root}/home`, owner, owner);
    const script = 'mount --bind "$0/etc" /etc && echo ready && exec cat';
    // The holder ends with its standard input, and so with this process.
    const holder = spawn(["unshare", "--mount", "sh", "-c", script, root], { stdin: "piped" });
    stack.defer(async () => {
      await holder.stdin.close();
      await holder.output();
    });
    await firstOutput(holder);

    const cell = new StoreCell(root, `${testPool()}/${root.replace(/^.*\//, "")}`, holder);
    await cell.installHelper("enroot-zfs-mount");
    await cell.configure(`ENROOT_DATA_PATH ${root}/stores/\${UID}\n`);
    stack.defer(() => cell.#destroy());
    await cell.#makeStores();
    cell.#kept = stack.move();
    return cell;
  }

  /** The owner's store: a dataset. */
  get store(): string {
    return `${this.dataset}/${owner}`;
  }
  /** Where it is mounted. */
  get path(): string {
    return `${this.root}/stores/${owner}`;
  }
  /** The installed helper. */
  get program(): string {
    return `${this.root}/bin/enroot-zfs-mount`;
  }

  /** Copy the helper into `bin`; with a capability unless told otherwise. */
  async installHelper(name: string, capability = "cap_sys_admin+ep"): Promise<string> {
    const path = `${this.root}/bin/${name}`;
    await Deno.copyFile(`${top}helper/build/enroot-zfs-mount`, path);
    await Deno.chmod(path, 0o755);
    if (capability !== "") await run(["setcap", capability, path]);
    return path;
  }

  /** Write the system's `enroot.conf`. */
  async configure(text: string): Promise<void> {
    await Deno.writeTextFile(`${this.root}/etc/enroot/enroot.conf`, text);
  }

  /** Run a program inside, whatever comes of it. */
  attempt(argv: readonly string[], uid = owner, options: Options = {}): Promise<Result> {
    return attempt(this.inside(argv, uid), options);
  }

  /** A program's arguments that make it run inside, as a user. */
  inside(argv: readonly string[], uid: number = owner): string[] {
    const user = ["--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups"];
    return [
      ...["nsenter", `--mount=/proc/${this.#holder.pid}/ns/mnt`, "--wd=/"],
      ...(uid === 0 ? argv : ["setpriv", ...user, ...argv]),
    ];
  }

  /** Run a program inside as root; it must succeed. */
  asRoot(argv: readonly string[]): Promise<string> {
    return run(this.inside(argv, 0));
  }

  /** Run a program inside as the owner; it must succeed. */
  asOwner(argv: readonly string[]): Promise<string> {
    return run(this.inside(argv));
  }

  /** Run the helper as a user, by default the owner. */
  helper(args: readonly string[], uid: number = owner): Promise<Result> {
    return this.attempt([this.program, ...args], uid);
  }

  /** Run the helper with each name in turn, as a user: how it ended each time. */
  async helperEach(
    names: readonly string[],
    options: readonly string[] = [],
    uid: number = owner,
  ): Promise<Result[]> {
    // One process for all of them: starting one takes a third of a second in the machine for tests.
    const script = 'for name; do "$0" ' + options.join(" ") +
      ' "$name" 2>&1; printf "\\0%s\\0" $?; done';
    const { stdout } = await this.attempt(["sh", "-c", script, this.program, ...names], uid);
    const parts = stdout.split("\0");
    return names.map((_, i) => ({
      ...{ code: Number(parts[2 * i + 1] ?? -1), signal: null },
      ...{ stdout: "", stderr: parts[2 * i] ?? "" },
    }));
  }

  /** Make datasets and folders for them to be mounted at, unmounted, as their user does it. */
  async makeContainers(names: readonly string[], uid: number = owner): Promise<void> {
    const script = 'for name; do zfs create -u -o canmount=noauto "$0/$name"; done; ' +
      `cd ${this.root}/stores/${uid}; mkdir -p "$@"`;
    await run(this.inside(["sh", "-ec", script, `${this.dataset}/${uid}`, ...names], uid));
  }

  /** The lines of the mount table inside. */
  async mounts(): Promise<string[]> {
    const table = await Deno.readTextFile(`/proc/${this.#holder.pid}/mountinfo`);
    return table.trimEnd().split("\n");
  }

  /** What is mounted inside as datasets below the owner's store: path, options and dataset of each. */
  async mounted(): Promise<string[]> {
    return (await this.mounts()).flatMap((line) => {
      const [, path = "", options = "", source = ""] =
        /^\S+ \S+ \S+ \S+ (\S+) (\S+) .*- zfs (\S+)/.exec(line) ?? [];
      return source.startsWith(`${this.store}/`)
        ? [`${path} ${options} ${source.slice(this.store.length + 1)}`]
        : [];
    });
  }

  /** A call of the helper must be refused, with the rule named, and nothing be mounted or unmounted. */
  async refuse(call: () => Promise<Result>, rule: string): Promise<void> {
    const before = await this.mounts();
    assertRefused(await call(), rule);
    assertEquals(await this.mounts(), before);
  }

  async #makeStores(): Promise<void> {
    const rights = "create,mount,clone,destroy,snapshot,rename,canmount,readonly,userprop";
    const script = `zfs create -o mountpoint=none "$1"
      zfs set snapdir=disabled "$1" || true # before OpenZFS 2.3 there is none
      for uid in ${owner} ${other}; do
        zfs create -o mountpoint="$0/stores/$uid" "$1/$uid"
        chown $uid:$uid "$0/stores/$uid"
        zfs allow -u $uid ${rights} "$1/$uid"
      done`;
    await this.asRoot(["sh", "-ec", script, this.root, this.dataset]);
  }

  async #destroy(): Promise<void> {
    // What tests mounted over one another, or by other ways, is not for zfs(8) to find.
    const paths = (await this.mounts()).map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(`${this.root}/`));
    const script = 'for path; do umount -l "$path"; done; exec zfs destroy -r "$0"';
    await this.asRoot(["sh", "-c", script, this.dataset, ...paths.reverse()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept?.disposeAsync();
  }
}
