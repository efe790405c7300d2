/**
 * Commands on ZFS that are killed, with `kill -9`, at moments that a seed chooses. After each the next
 * command has to work, a sweep has to bring the store back to what it was, and the container that is there
 * has to be whole.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Random } from "../fuzz/random.ts";
import type { User } from "./bed.ts";
import { makeBusyboxImage } from "./busybox_image.ts";
import { attempt, run } from "./command.ts";
import { pushImage } from "./oci_layout.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { TestPool } from "./test_pool.ts";
import { describeTree } from "./tree.ts";
import { ZfsBed } from "./zfs_bed.ts";

/** What is killed. */
export interface CrashOptions {
  readonly user: User;
  readonly seed: number;
  readonly points: number;
  /** Only these commands; by default any. */
  readonly only?: readonly string[];
  /** After how many points the pool is exported and imported; by default never. */
  readonly rebootEvery?: number;
  /** Told of each point. */
  readonly log?: (line: string) => void;
}

/** Of every command that is killed it has to be known what may be there afterwards, and what comes next. */
interface Victim {
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  /** Makes what the command needs. */
  readonly prepare?: (bed: CrashBed) => Promise<void>;
  /** The next command of the kind, right after; what it made is looked at, and taken away. */
  readonly next: (bed: CrashBed, victim: Victim) => Promise<void>;
}

const pool = 400 << 20;
const name = "victim";
const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };

/** How long a command may take that nobody kills, in milliseconds: the machine may be emulated. */
const patience = 120_000;

const create = (file: string): Victim => ({ args: ["create", "-n", name, file], next: makes });
const createOf = (file: "other.squashfs" | "other.zfs"): Victim => ({
  ...create(file),
  prepare: (bed) => bed.makeFile(file),
});
const writes = (args: readonly string[], magic: RegExp): Victim => ({
  args,
  async next(crashed, victim) {
    const file = `${crashed.store.bed.work}/out`;
    const there = await Deno.readFile(file).catch(() => undefined);
    if (there !== undefined) assertMatch(new TextDecoder("latin1").decode(there), magic);
    if (there !== undefined) await Deno.remove(file);
    await crashed.succeed(victim);
    assertMatch(new TextDecoder("latin1").decode(await Deno.readFile(file)), magic);
    await Deno.remove(file);
  },
});

const victims: Readonly<Record<string, Victim>> = {
  "import": writes(["import", "-o", "out", "REGISTRY/other:x"], /^enroot-zfs-image:v1\n/),
  "import, chain": {
    ...writes(["import", "-o", "out", "REGISTRY/other:x"], /^enroot-zfs-image:v1\n/),
    env: chain,
  },
  "create of a pointer": create("base.sqsh"),
  "create of a squashfs": createOf("other.squashfs"),
  "create of a stream": createOf("other.zfs"),
  "create --force": {
    ...create("base.sqsh"),
    args: ["create", "--force", "-n", name, "base.sqsh"],
    prepare: (bed) => bed.make(),
  },
  "remove": {
    args: ["remove", "-f", name],
    prepare: (bed) => bed.make(),
    async next(crashed, victim) {
      if (await crashed.isThere(name)) {
        await crashed.haveMounted(name);
        await crashed.check(name, "base.sqsh");
        return await crashed.succeed(victim);
      }
      const { code, stderr } = await crashed.run(victim);
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /no container 'victim'/);
    },
  },
  "export": writes(["export", "-o", "out", "kept"], /^hsqs/),
  // The stream's begin record: its magic number is at the ninth byte.
  "export, zfs": writes(["export", "--format=zfs", "-o", "out", "kept"], /^[^]{8}\xac\xcb\xba\xf5/),
  "load": { args: ["load", "-n", name, "REGISTRY/other:x"], next: makes },
  "load, chain": { args: ["load", "-n", name, "REGISTRY/other:x"], env: chain, next: makes },
};

/** What commands are killed by default, by name. */
export const crashable: readonly string[] = Object.keys(victims);

/** A container was to be made: it is whole, or not there and then made. */
async function makes(crashed: CrashBed, victim: Victim): Promise<void> {
  const isThere = await crashed.isThere(name);
  const key = victim.args.at(-1) ?? "";
  if (isThere) {
    await crashed.haveMounted(name);
    await crashed.check(name, key);
  }
  // What may replace goes on where the other one is.
  if (!isThere || victim.args.includes("--force")) await crashed.succeed(victim);
  await crashed.check(name, key);
  await crashed.enroot(["remove", "-f", name]);
}

/**
 * Kill so many commands.
 *
 * @throws {Error} naming the point, when something was wrong after it
 */
export async function crash(options: CrashOptions): Promise<void> {
  const { user, seed, points, only = crashable, rebootEvery = Infinity, log } = options;
  await using bed = await CrashBed.make(user);
  const random = new Random(seed);
  for (let point = 1; point <= points; point++) {
    const what = random.pick(only);
    const victim = victims[what];
    if (victim === undefined) throw new Error(`nothing is called ${what}`);
    const whole = random.chance(0.5);
    const moment = random.below(1000) / 1000;
    const began = performance.now();
    const how = await bed.kill(what, victim, { whole, moment });
    const text = `seed ${seed}, point ${point}: ${what}, as ${user}, ${how}`;
    try {
      await victim.next(bed, victim);
      await bed.sweep();
      if (point % rebootEvery === 0) await bed.reboot();
    } catch (error) {
      throw new Error(text, { cause: error });
    }
    log?.(`${text}; ${((performance.now() - began) / 1000).toFixed(1)} s in all`);
  }
}

/** A store with a container, and a registry with two images. */
class CrashBed implements AsyncDisposable {
  readonly store: ZfsBed;
  readonly #pool: TestPool;
  readonly #registry: Registry;
  readonly #stack: AsyncDisposableStack;
  /** What is there when nothing is to do. */
  #model: readonly string[] = [];
  /** Trees of containers by what they were made of: what the first one was, all are. */
  readonly #trees = new Map<string, string>();
  /** How long a command takes when nobody kills it, in milliseconds. */
  readonly #times = new Map<string, number>();
  #time = 0;
  /** What the victim and all that it started said, to their end. */
  #output: Promise<unknown> = Promise.resolve();

  private constructor(
    parts: { readonly pool: TestPool; readonly store: ZfsBed; readonly registry: Registry },
    stack: AsyncDisposableStack,
  ) {
    this.store = parts.store;
    this.#pool = parts.pool;
    this.#registry = parts.registry;
    this.#stack = stack;
  }

  static async make(user: User): Promise<CrashBed> {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const testPool = stack.use(await TestPool.make(pool));
    const store = stack.use(await ZfsBed.make(user, testPool.name));
    const bed = new CrashBed({ pool: testPool, store, registry }, stack.move());
    try {
      await bed.#fill();
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
    return bed;
  }

  async #fill(): Promise<void> {
    const { bed } = this.store;
    for (const image of ["base", "other"]) {
      const files = { [`etc/${image}`]: `${image}\n`, "etc/noise": noise(300_000) };
      await makeBusyboxImage(`${bed.temp}/${image}`, "x", files, { "etc/top": image });
      await pushImage(
        `${bed.temp}/${image}`,
        "x",
        `127.0.0.1:${this.#registry.port}/${image}:x`,
      );
      await Deno.remove(`${bed.temp}/${image}`, { recursive: true });
    }
    await this.enroot(["import", "-o", "base.sqsh", this.#of("REGISTRY/base:x")], chain);
    const began = performance.now();
    await this.enroot(["create", "-n", "kept", "base.sqsh"]);
    // The others take longer. Once one has ended by itself it is known.
    this.#time = 3 * (performance.now() - began);
    await this.enroot(["start", "--rw", "kept", "sh", "-c", "echo mine > /root/mine"]);
    await this.enroot(["cache", "prune", "--all"]);
    await this.check("kept", "kept");
    this.#model = await this.#picture();
  }

  /** Run `enroot`, which must succeed. */
  async enroot(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const signal = AbortSignal.timeout(patience);
    return await this.store.succeed(args, { env, signal });
  }

  /** Run a victim without killing it. */
  run({ args, env = {} }: Victim): ReturnType<ZfsBed["enroot"]> {
    const signal = AbortSignal.timeout(patience);
    return this.store.enroot(args.map((each) => this.#of(each)), { env, signal });
  }

  /** The same, which must succeed. */
  async succeed(victim: Victim): Promise<void> {
    const { code, stderr } = await this.run(victim);
    assertEquals(code, 0, stderr);
  }

  /** Make a file of the other image, if it is not there. */
  async makeFile(file: "other.squashfs" | "other.zfs"): Promise<void> {
    const { bed } = this.store;
    if (await Deno.stat(`${bed.work}/${file}`).then(() => true, () => false)) return;
    const uri = this.#of("REGISTRY/other:x");
    if (file === "other.squashfs") {
      await this.enroot(["import", "--format=squashfs", "-o", file, uri]);
    } else {
      await this.enroot(["load", "-n", "other", uri]);
      await this.enroot(["export", "--format=zfs", "-o", file, "other"]);
      await this.enroot(["remove", "-f", "other"]);
      await this.enroot(["cache", "prune", "--all"]);
    }
    this.#model = await this.#picture();
  }

  /** Make the container that is to be replaced or removed. */
  async make(): Promise<void> {
    await this.enroot(["create", "-n", name, "base.sqsh"]);
  }

  async isThere(container: string): Promise<boolean> {
    return (await this.enroot(["list"])).split("\n").includes(container);
  }

  /** What was about to be made or removed may not be mounted: whoever reads it next mounts it. */
  async haveMounted(container: string): Promise<void> {
    if ((await this.store.dataset.mounted()).has(container)) return;
    await this.enroot(["export", "-o", "mounted.sqsh", container]);
    await Deno.remove(`${this.store.bed.work}/mounted.sqsh`);
  }

  /** A container has the tree that all have that were made of the same. */
  async check(container: string, madeOf: string): Promise<void> {
    const tree = await this.#treeOf(container);
    const expected = this.#trees.get(madeOf);
    if (expected === undefined) this.#trees.set(madeOf, tree);
    else assertEquals(tree, expected, `the tree of ${container}`);
  }

  /** Start a command and kill it, or all of its process group. @returns how that went */
  async kill(
    what: string,
    victim: Victim,
    { whole, moment }: { readonly whole: boolean; readonly moment: number },
  ): Promise<string> {
    await victim.prepare?.(this);
    const { bed, env } = this.store;
    const child = bed.start(
      ["setsid", bed.executable, ...victim.args.map((each) => this.#of(each))],
      { env: { ...env, ...victim.env } },
    );
    const output = child.output();
    const time = this.#times.get(what) ?? this.#time;
    const began = performance.now();
    let isOver = false;
    child.status.then(({ success }) => {
      isOver = true;
      if (success) this.#times.set(what, performance.now() - began);
    });
    await new Promise((resolve) => setTimeout(resolve, moment * time));
    const wasOver = isOver;
    if (!wasOver) await attempt(["kill", "-KILL", "--", `${whole ? "-" : ""}${child.pid}`]);
    const { success, code, signal } = await child.status;
    // What is left of the group has the pipes still open: it is waited for later.
    this.#output = output;
    const at = `${Math.round(moment * time)} ms of ${Math.round(time)}`;
    if (!wasOver && signal === "SIGKILL") {
      return `${whole ? "all its processes" : "the command alone"} killed after ${at}`;
    }
    assert(success, `it ended with ${code} by itself`);
    return `over before ${at}`;
  }

  /** Nothing is left but what is to be there. */
  async sweep(): Promise<void> {
    await this.#output;
    await this.enroot(["cache", "prune", "--all"]);
    assertEquals(await this.#picture(), this.#model);
    await this.check("kept", "kept");
  }

  async reboot(): Promise<void> {
    await this.#pool.reboot();
    assertEquals(await this.enroot(["start", "kept", "cat", "/root/mine"]), "mine\n");
    await this.check("kept", "kept");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #of(argument: string): string {
    return argument.replace("REGISTRY", `docker://127.0.0.1:${this.#registry.port}`);
  }

  async #treeOf(container: string): Promise<string> {
    const path = `${this.store.dataset.path}/${container}`;
    const options = { owners: true, ignoreMtimeOf: [".", "./etc", "etc"] };
    return JSON.stringify(await describeTree(path, options));
  }

  /**
   * Datasets, mounts, and all that is in folders where something could be left. The parent of clones
   * is made when it is first needed.
   */
  async #picture(): Promise<string[]> {
    const { bed, dataset } = this.store;
    const { path } = dataset;
    const caches = `${bed.home}/.cache/enroot`;
    const [datasets, mounted, files] = await Promise.all([
      dataset.contents(),
      dataset.mounted(),
      run(["find", path, bed.temp, bed.work, "-xdev", "-mindepth", "1", "-printf", "%P\\n"]),
    ]);
    const partial = await attempt(["find", caches, "-name", "*.partial"]);
    return [
      ...datasets.map((each) => `dataset ${each}`),
      ...[...mounted.keys()].map((each) => `mount ${each}`),
      ...files.split("\n").filter((each) => each !== "").map((each) => `file ${each}`),
      ...partial.stdout.split("\n").filter((each) => each !== "").map((each) => `blob ${each}`),
    ].filter((each) => !/^(?:dataset|file) \.ephemeral$/.test(each)).sort();
  }
}

/** Text that hardly compresses. */
function noise(length: number): string {
  const random = new Random(length);
  return Array.from({ length }, () => String.fromCharCode(33 + random.below(90))).join("");
}
