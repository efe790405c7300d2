import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt, run } from "../support/command.ts";
import { TestPool } from "../support/test_pool.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

/** Takes all that is left of a pool. */
class Filler implements AsyncDisposable {
  readonly #dataset: string;
  readonly #path: string;

  private constructor(dataset: string, path: string) {
    this.#dataset = dataset;
    this.#path = path;
  }

  static async make(pool: TestPool, folder: string): Promise<Filler> {
    const [dataset, path] = [`${pool.name}/filler`, `${folder}/filler`];
    const options = ["-o", `mountpoint=${path}`, "-o", "compression=off"];
    await run(["zfs", "create", ...options, dataset]);
    return new Filler(dataset, path);
  }

  async fill(): Promise<void> {
    for (const size of ["1M", "1k"]) {
      const file = `${this.#path}/${crypto.randomUUID()}`;
      const argv = ["dd", "if=/dev/zero", `of=${file}`, `bs=${size}`, "conv=fsync"];
      const { code, stderr } = await attempt(argv);
      assert(code !== 0 && stderr.includes("No space left on device"), stderr);
      // What was freed last is there only after the next group of transactions.
      await run(["zpool", "sync"]);
    }
  }

  async free(): Promise<void> {
    for (const { name } of Deno.readDirSync(this.#path)) await Deno.remove(`${this.#path}/${name}`);
    await run(["zpool", "sync"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["zfs", "destroy", this.#dataset]);
  }
}

// The one without the chain is the same but for fewer datasets.
for (const chain of Deno.args.includes("all-users") ? [undefined, "y"] : ["y"]) {
  Deno.test(`a pool that is full, chain ${chain === undefined ? "off" : "on"}: an error, and nothing lost`, async (t) => {
    await using pool = await TestPool.make(128 << 20);
    await using store = await ZfsBed.make("plain user", pool.name);
    const { bed, dataset } = store;
    const env = chain === undefined ? {} : { ENROOT_ZFS_LAYER_CHAIN: chain };
    await using filler = await Filler.make(pool, bed.temp);
    for (const image of ["small", "idle", "big"]) {
      const files: Record<string, string> = { [`etc/${image}`]: "" };
      await makeBusyboxImage(`${bed.work}/${image}`, "x", files);
    }
    await bed.own();
    for (const image of ["small", "idle"]) {
      await store.succeed(["import", "-o", `${image}.sqsh`, `oci:${image}:x`], { env });
    }
    for (const name of ["kept", "other"]) await store.succeed(["create", "-n", name, "small.sqsh"]);
    await store.succeed(["start", "--rw", "kept", "sh", "-c", "echo mine > /root/mine"]);
    const idle = /\.templates\/[^@]+@pristine$/;
    const before = (await dataset.contents()).filter((each) => !idle.test(each));
    await filler.fill();

    const refused: readonly string[][] = [
      ["import", "-o", "big.sqsh", "oci:big:x"],
      ["load", "-n", "new", "oci:big:x"],
    ];
    for (const args of refused) {
      await t.step(`${args[0]} fails with one clear error`, async () => {
        await filler.fill();
        const { code, stderr } = await store.enroot(args, { env });
        assertEquals(code, 1, stderr);
        const errors = stderr.split("\n").filter((line) => line.startsWith("[ERROR]"));
        assertEquals(errors.length, 1, stderr);
        assertMatch(
          stderr,
          /^\[ERROR\] the image \(it comes as [\d.]+ MiB\) has no room in .*, where [\d.]+ MiB are free/m,
        );
        assertEquals(stderr.includes("[WARN]"), false, stderr);
        const contents = await dataset.contents();
        assertEquals(contents.filter((each) => each.includes(".tmp")), []);
      });
    }

    await t.step("create of a cached image is made, or refused in one line", async () => {
      await filler.fill();
      const { code, stderr } = await store.enroot(["create", "-n", "new", "small.sqsh"], { env });
      const list = (await store.succeed(["list"])).trim().split("\n");
      assertEquals(list, code === 0 ? ["kept", "new", "other"] : ["kept", "other"]);
      if (code !== 0) {
        assertMatch(stderr, /^\[ERROR\] the container has no room in .* MiB are free/m);
      }
      if (code === 0) await store.succeed(["remove", "-f", "new"]);
    });

    await t.step("what is there is there, and can be removed", async () => {
      await filler.fill();
      assertEquals(await store.succeed(["start", "kept", "cat", "/root/mine"]), "mine\n");
      await store.succeed(["remove", "-f", "other"]);
      await store.succeed(["cache", "prune", "--all"]);
      const gone = new Set(await dataset.contents());
      const missing = before.filter((each) => !gone.has(each) && !each.startsWith("."));
      assertEquals(missing, ["other"]);
    });

    await t.step("with room made, the next command works", async () => {
      await filler.free();
      await store.succeed(["import", "-o", "big.sqsh", "oci:big:x"], { env });
      await store.succeed(["create", "-n", "new", "big.sqsh"], { env });
      assertEquals(await store.succeed(["start", "new", "ls", "/etc/big"]), "/etc/big\n");
      assertEquals(await store.succeed(["start", "kept", "cat", "/root/mine"]), "mine\n");
      const locks = [...Deno.readDirSync(`${dataset.path}/.locks`)].map(({ name }) => name).sort();
      assertEquals(locks, ["layout", "swept"]);
    });
  });
}
