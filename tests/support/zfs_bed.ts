/**
 * A bed with a ZFS store of its own, on the real OpenZFS that `ENROOT_TEST_POOL` names.
 *
 * The store is set up as `docs/zfs.md` tells an administrator to: a dataset of the user's, delegated to
 * him, `enroot-zfs-mount` beside the executable with its capability, and the store's place in the
 * system's own `enroot.conf`, which is all that the helper reads.
 *
 * @module
 */

import { permissions } from "../../lib/storage/zfs/delegation.ts";
import { unmount } from "../../lib/sys/mount.ts";
import { mounts } from "../../lib/sys/mountinfo.ts";
import { Bed, type RunOptions, type User } from "./bed.ts";
import { attempt, type Result, run } from "./command.ts";

const helper = new URL("../../helper/build/enroot-zfs-mount", import.meta.url).pathname;
const systemConfig = "/etc/enroot/enroot.conf";

/** The dataset below which tests make theirs. @throws {Error} when the environment names none */
export function testPool(): string {
  const pool = Deno.env.get("ENROOT_TEST_POOL");
  if (pool !== undefined) return pool;
  throw new Error("ENROOT_TEST_POOL is not set: run these tests with `deno task test:zfs`");
}

/** Run `zfs`, which must succeed. @returns what it printed */
export function zfs(...args: readonly string[]): Promise<string> {
  return run(["zfs", ...args]);
}

/** A dataset of its own below the pool's, destroyed with everything in it when disposed of. */
export class TestDataset implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly #folder: string;

  private constructor(name: string, folder: string) {
    this.name = name;
    this.path = `${folder}/store`;
    this.#folder = folder;
  }

  /** Make one, mounted, whose root folder belongs to this user. */
  static async make(
    uid = 0,
    properties: readonly string[] = [],
    parent: string = testPool(),
  ): Promise<TestDataset> {
    const folder = await Deno.makeTempDir({ prefix: "zenroot-store-" });
    await Deno.chmod(folder, 0o755);
    const name = `${parent}/${crypto.randomUUID()}`;
    const dataset = new TestDataset(name, folder);
    const options = [`mountpoint=${dataset.path}`, "xattr=sa", "acltype=posixacl", ...properties];
    await zfs("create", ...options.flatMap((option) => ["-o", option]), name);
    await closeSnapshots(name);
    await run(["chown", `${uid}:${uid}`, dataset.path]);
    return dataset;
  }

  /** The names of all datasets and snapshots below it, relative to it, sorted. */
  async contents(): Promise<string[]> {
    const text = await zfs(
      "list",
      "-H",
      "-o",
      "name",
      "-t",
      "filesystem,snapshot",
      "-r",
      this.name,
    );
    return text.trim().split("\n").map((name) => name.slice(this.name.length + 1))
      .filter((name) => name !== "").sort();
  }

  /** One property of a dataset or snapshot below it. */
  async property(below: string, property: string): Promise<string> {
    return (await zfs("get", "-Hp", "-o", "value", property, `${this.name}/${below}`)).trim();
  }

  /** What of it is mounted besides itself, relative to it, with the options of each mount. */
  async mounted(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const line of (await Deno.readTextFile("/proc/self/mountinfo")).split("\n")) {
      const [before = "", after = ""] = line.split(" - ");
      const source = after.split(" ")[1] ?? "";
      if (!source.startsWith(`${this.name}/`)) continue;
      found.set(source.slice(this.name.length + 1), before.split(" ")[5]?.split(",") ?? []);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const below = mounts().filter(({ source }) => source.startsWith(`${this.name}/`)).reverse();
    for (const { mountPoint } of below) {
      try {
        unmount(mountPoint);
      } catch {
        // What is still in use is said when the dataset is destroyed.
      }
    }
    await destroy(this.name);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A user's bed and store. */
export class ZfsBed implements AsyncDisposable {
  readonly bed: Bed;
  readonly dataset: TestDataset;
  readonly #stack: AsyncDisposableStack;

  private constructor(bed: Bed, dataset: TestDataset, stack: AsyncDisposableStack) {
    this.bed = bed;
    this.dataset = dataset;
    this.#stack = stack;
  }

  /**
   * Make both. The system's configuration is put back when they are disposed of.
   *
   * @param parent where the store's dataset is; by default the pool for tests
   */
  static async make(user: User, parent: string = testPool()): Promise<ZfsBed> {
    await using stack = new AsyncDisposableStack();
    const bed = stack.use(await Bed.make(user));
    const dataset = stack.use(await TestDataset.make(bed.uid, [], parent));
    stack.use(await writeSystemConfig(`ENROOT_DATA_PATH ${dataset.path}\n`));
    if (user === "plain user") {
      await zfs("allow", "-u", String(bed.uid), permissions.join(","), dataset.name);
      await installHelper(bed.executable.replace(/enroot$/, "enroot-zfs-mount"));
    }
    return new ZfsBed(bed, dataset, stack.move());
  }

  /** The variables that choose the store. */
  get env(): Record<string, string> {
    return { ENROOT_STORAGE_BACKEND: "zfs", ENROOT_DATA_PATH: this.dataset.path };
  }

  /** Run `enroot` on the store. */
  enroot(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return this.bed.enroot(args, { ...options, env: { ...this.env, ...options.env } });
  }

  /** Run `enroot` on the store, which must succeed, for what it prints. */
  succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.bed.succeed(args, { ...options, env: { ...this.env, ...options.env } });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Put the snapshots of a dataset and of all below it out of reach, where ZFS can: from 2.3 on. */
async function closeSnapshots(dataset: string): Promise<void> {
  await attempt(["zfs", "set", "snapdir=disabled", dataset]);
}

/** Copy the helper to a place and give it the capability that it needs. */
export async function installHelper(path: string): Promise<void> {
  await Deno.copyFile(helper, path);
  await Deno.chmod(path, 0o755);
  await run(["setcap", "cap_sys_admin+ep", path]);
}

/** Write the system's `enroot.conf`; disposing puts back what was there. */
export async function writeSystemConfig(text: string): Promise<AsyncDisposable> {
  const before = await Deno.readTextFile(systemConfig).catch(() => undefined);
  await Deno.mkdir("/etc/enroot", { recursive: true });
  await Deno.writeTextFile(systemConfig, text);
  await Deno.chmod(systemConfig, 0o644);
  return {
    async [Symbol.asyncDispose]() {
      if (before === undefined) await Deno.remove(systemConfig);
      else await Deno.writeTextFile(systemConfig, before);
    },
  };
}

/** Destroy a dataset with all below it; what has just been unmounted may be busy for a moment. */
async function destroy(name: string): Promise<void> {
  for (let tries = 1;; tries++) {
    const { code, stderr } = await attempt(["zfs", "destroy", "-R", name]);
    if (code === 0) return;
    if (tries === 10) throw new Error(`cannot destroy ${name}: ${stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
