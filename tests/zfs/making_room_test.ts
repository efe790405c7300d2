import { assert, assertEquals, assertRejects } from "@std/assert";
import { chainIds } from "../../lib/oci/chain_id.ts";
import { parseDiffId } from "../../lib/oci/digest.ts";
import { parseContainerName } from "../../lib/storage/container_name.ts";
import type { TemplateRequest } from "../../lib/storage/store.ts";
import { tryLockKey } from "../../lib/storage/zfs/key_lock.ts";
import { StoreFolder } from "../../lib/storage/zfs/store_folder.ts";
import { ZfsStore, type ZfsStoreOptions } from "../../lib/storage/zfs/zfs_store.ts";
import { attempt, run } from "../support/command.ts";
import { obtain } from "../support/obtain.ts";
import { TestDataset, zfs } from "../support/zfs_bed.ts";

const never = new AbortController().signal;

function open({ path }: TestDataset, options: Partial<ZfsStoreOptions> = {}): ZfsStore {
  const warn = (message: string): void => {
    throw new Error(message);
  };
  return new ZfsStore(path, { warn, layerChain: true, ...options });
}

/** An image of one layer of so many mebibytes, told apart by a digit. */
function image(digit: string, size: number): TemplateRequest {
  const diffId = parseDiffId(`sha256:${digit.repeat(64)}`);
  const fill = async (root: string): Promise<void> => {
    using file = await Deno.open(`${root}/file`, { write: true, create: true });
    const piece = new Uint8Array(65_536);
    for (let count = 0; count < size * 16; count++) {
      await file.write(crypto.getRandomValues(piece));
    }
    await file.syncData();
  };
  return {
    id: digit.repeat(64),
    provenance: {},
    signal: never,
    build: fill,
    layered: {
      layers: chainIds([diffId]).map((chainId) => ({ chainId, diffId })),
      begin() {},
      apply: (_index, root) => fill(root),
      finish: () => Promise.resolve(),
    },
  };
}

/** The templates by their digits, and how many layers there are. */
async function kept(dataset: TestDataset): Promise<[templates: string, layers: number]> {
  const contents = await dataset.contents();
  const digits = contents.flatMap((each) => /^\.templates\/(.)\1{63}$/.exec(each)?.[1] ?? []);
  return [digits.join(""), contents.filter((each) => /^\.layers\/[0-9a-f]{64}$/.test(each)).length];
}

/** It was imported and used so many seconds ago. */
async function age({ name }: TestDataset, digit: string, seconds: number): Promise<void> {
  const then = Date.now() - seconds * 1000;
  await zfs(
    ...["set", `enroot:last_used=${Math.floor(then / 1000)}`],
    ...[`enroot:imported=${new Date(then).toISOString()}`],
    `${name}/.templates/${digit.repeat(64)}`,
  );
}

/** What an import holds as long as it is under way. */
function importing({ path }: TestDataset): Disposable {
  const lock = tryLockKey(new StoreFolder(path, ".locks"), "f".repeat(64));
  assert(lock !== undefined);
  return lock;
}

Deno.test("under pressure an import that is under way costs no more templates than have to go", async () => {
  await using dataset = await TestDataset.make(0, ["quota=100M"]);
  const store = open(dataset, { threshold: 0.25 });
  for (const [index, digit] of ["a", "b", "c"].entries()) {
    await obtain(store, image(digit, 10));
    await age(dataset, digit, 5000 - index);
  }
  {
    using _import = importing(dataset);
    await store.maintain();
    assertEquals(await kept(dataset), ["bc", 3]);
  }
  await Deno.utime(`${dataset.path}/.locks/swept`, 0, 0);
  await store.maintain();
  assertEquals(await kept(dataset), ["bc", 2]);
});

Deno.test("where there is no room layers go, too, that nothing needs, whatever is being imported", async () => {
  await using dataset = await TestDataset.make(0, ["quota=25M"]);
  const store = open(dataset);
  await obtain(store, image("a", 14));
  using _import = importing(dataset);
  await obtain(store, image("b", 14));
  assertEquals(await kept(dataset), ["b", 1]);
});

Deno.test("in a store without room for a lock, what killed processes left keeps nothing from going", async () => {
  await using dataset = await TestDataset.make(0, ["quota=24M", "compression=off"]);
  const store = open(dataset);
  await obtain(store, image("a", 5));
  const [left, cut] = [`.templates/${"b".repeat(64)}.tmp`, `.receiving/${"c".repeat(64)}`];
  await zfs("create", "-u", "-o", "canmount=noauto", `${dataset.name}/${left}`);
  await zfs("create", "-u", "-p", "-o", "canmount=noauto", `${dataset.name}/${cut}`);
  await fillUp(dataset.path);
  assertEquals((await attempt(["touch", `${dataset.path}/.locks/probe`])).code, 1);
  await store.prune({ all: true, isDryRun: false });
  assertEquals(await kept(dataset), ["", 0]);
  const contents = await dataset.contents();
  assertEquals(contents.filter((each) => each === left || each === cut), []);
});

/** Until no file can be made. */
async function fillUp(path: string): Promise<void> {
  await Deno.mkdir(`${path}/.full`);
  for (const size of ["1M", "4k", "512"]) {
    const file = `${path}/.full/${size}`;
    await attempt(["dd", "if=/dev/urandom", `of=${file}`, `bs=${size}`, "conv=fsync"]);
    await run(["zpool", "sync"]);
  }
  for (let count = 0; count < 100_000; count++) {
    try {
      await Deno.writeTextFile(`${path}/.full/${count}`, "x");
    } catch {
      return;
    }
    if (count % 200 === 0) await run(["zpool", "sync"]);
  }
  throw new Error(`${path} does not get full`);
}

/** A process in a mount namespace of its own, at work in a folder. */
async function pin(path: string): Promise<AsyncDisposable> {
  const script = 'cd "$0"; echo there; exec sleep 1000';
  const args = ["--mount", "--propagation", "private", "sh", "-euc", script, path];
  const child = new Deno.Command("unshare", { args, stdin: "null", stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

Deno.test("what is open in another mount namespace is in nobody's way, and goes after that", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { layerChain: false, warmSeconds: 0 });
  const tmp = async (): Promise<string[]> =>
    (await dataset.contents()).filter((each) => /^\.templates\/[^@]*\.tmp$/.test(each));
  {
    await using stack = new AsyncDisposableStack();
    const { build, ...rest } = image("a", 1);
    const pinned = async (root: string): Promise<void> => {
      await build(root);
      stack.use(await pin(root));
    };
    const broken = (root: string): Promise<void> =>
      pinned(root).then(() => Promise.reject(new Error("broken")));
    await assertRejects(() => obtain(store, { ...rest, build: broken }), Error, "broken");
    await obtain(store, { ...rest, build: pinned });
    const box = parseContainerName("box");
    const container = await store.createContainer(box, { id: rest.id }, { replace: false });
    assertEquals((await Deno.stat(`${container.path}/file`)).size, 1 << 20);
    await store.removeContainer(box);
    await store.prune({ all: true, isDryRun: false });
    assertEquals(await kept(dataset), ["", 0]);
    assertEquals((await tmp()).length, 2);
    await obtain(store, image("a", 1));
    assertEquals((await kept(dataset))[0], "a");
  }
  await store.prune({ all: true, isDryRun: false });
  assertEquals(await tmp(), []);
});
