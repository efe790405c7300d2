import { assert, assertEquals, assertRejects } from "@std/assert";
import { lockKey, tryLockKey } from "./key_lock.ts";
import { StoreFolder } from "./store_folder.ts";

async function inFolder(body: (folder: StoreFolder) => Promise<void>): Promise<void> {
  const store = await Deno.makeTempDir();
  try {
    const folder = new StoreFolder(store, "locks");
    folder.ensure();
    await body(folder);
    assertEquals(folder.names(), []);
  } finally {
    await Deno.remove(store, { recursive: true });
  }
}

const never = new AbortController().signal;

Deno.test("a lock has one holder, and the next gets it when it is let go, told for whom it waits", () =>
  inFolder(async (folder) => {
    const order: string[] = [];
    const first = await lockKey(folder, "k", { signal: never });
    const second = lockKey(folder, "k", {
      signal: never,
      onWait: (holder) => void order.push(`waits for ${holder.split(" (")[0]}`),
    }).then((lock) => {
      order.push("second");
      lock[Symbol.dispose]();
    });
    await new Promise((resolve) => setTimeout(resolve, 400));
    order.push("first");
    first[Symbol.dispose]();
    await second;
    assertEquals(order, [`waits for process ${Deno.pid}`, "first", "second"]);
  }));

Deno.test("of many at once one at a time is in", () =>
  inFolder(async (folder) => {
    let inside = 0;
    await Promise.all(Array.from({ length: 8 }, async () => {
      using _lock = await lockKey(folder, "k", { signal: never });
      assertEquals(++inside, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
    }));
  }));

Deno.test("locks of different names do not meet", () =>
  inFolder(async (folder) => {
    using _a = await lockKey(folder, "a", { signal: never });
    using _b = await lockKey(folder, "b", { signal: never });
  }));

Deno.test("a lock dies with its holder, and its file can be taken over", () =>
  inFolder(async (folder) => {
    const script = `const file = Deno.openSync("${
      folder.describe("k")
    }", { write: true, create: true });
      file.lockSync(true); console.log("held"); await new Promise(() => setInterval(() => {}, 1000));`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", script],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    assertEquals(tryLockKey(folder, "k"), undefined);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    const lock = tryLockKey(folder, "k");
    assert(lock !== undefined);
    lock[Symbol.dispose]();
  }));

Deno.test("a wait ends with its signal", () =>
  inFolder(async (folder) => {
    using _held = await lockKey(folder, "k", { signal: never });
    const stop = new AbortController();
    const waiting = lockKey(folder, "k", { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 150);
    await assertRejects(() => waiting, Error, "enough");
  }));

Deno.test("a line that is kept with a lock is there for whoever finds it abandoned, and stays", () =>
  inFolder((folder) => {
    assertEquals(tryLockKey(folder, "none")?.note, undefined);
    folder.remove("none");
    const lock = tryLockKey(folder, "key", "what it is for");
    assertEquals(lock?.note, "what it is for");
    lock?.leave();
    for (const note of [undefined, "something else"]) {
      const again = tryLockKey(folder, "key", note);
      assertEquals(again?.note, "what it is for");
      again?.leave();
    }
    assertEquals(folder.read("key"), `${Deno.pid}\nwhat it is for\n`);
    tryLockKey(folder, "key")?.[Symbol.dispose]();
    return Promise.resolve();
  }));
