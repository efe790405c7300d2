import { assertEquals, assertRejects } from "@std/assert";
import { pipePair } from "../../tests/support/pipe_pair.ts";
import { EnrootError } from "../errors.ts";
import { lockKey, tryLockKey } from "../storage/zfs/key_lock.ts";
import { StoreFolder } from "../storage/zfs/store_folder.ts";
import { Channel, RemoteError, SilentError } from "./channel.ts";
import { hearGoOn, sayFailure, sayGoOn } from "./messages.ts";
import { Wait, type WaitOptions } from "./wait.ts";

const never = new AbortController().signal;

/** Both ends of a transfer, and a folder with a lock that this process holds. */
async function scene(): Promise<AsyncDisposable & ReturnType<typeof parts>> {
  const folder = await Deno.makeTempDir();
  const made = parts(folder);
  return {
    ...made,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function parts(path: string) {
  const { ends: [near, far], cut } = pipePair();
  const locks = new StoreFolder(path, ".locks", Deno.uid() ?? 0);
  locks.ensure();
  const lock = tryLockKey(locks, "a");
  const options: WaitOptions = { onWait: () => {}, signal: never };
  return { near, far, cut, lock, options, locks };
}

Deno.test("both ends are told for whom one waits, and then how it goes on", async () => {
  await using it = await scene();
  const [sender, receiver] = [new Channel(it.near), new Channel(it.far)];
  const told: string[] = [];
  using wait = new Wait(receiver, { ...it.options, onWait: (holder) => told.push(holder) });
  const locked = lockKey(it.locks, "a", wait);
  const heard = await hearGoOn(sender, (holder) => {
    told.push(holder);
    it.lock?.[Symbol.dispose]();
    locked.then(() => sayGoOn(receiver, { go: "past" }));
  });
  assertEquals(heard, { go: "past" });
  assertEquals(told.length, 2);
  assertEquals(told.map((each) => each.startsWith(`process ${Deno.pid} (`)), [true, true]);
  (await locked)[Symbol.dispose]();
});

Deno.test("a wait ends when the other end fails, is gone, or it has been long enough", async () => {
  const fails: Record<string, (it: ReturnType<typeof parts>, sender: Channel) => Promise<unknown>> =
    {
      "not any more": (_it, sender) => sayFailure(sender, "not any more"),
      "nothing came": (it) => Promise.resolve(it.cut()),
      "has been receiving the same": () => Promise.resolve(),
    };
  for (const [why, fail] of Object.entries(fails)) {
    await using it = await scene();
    const sender = new Channel(it.near, { beatEvery: 50 });
    const receiver = new Channel(it.far, { beatEvery: 50 });
    using _one = sender.keepAlive();
    using _two = receiver.keepAlive();
    const limit = why.startsWith("has been") ? 100 : 60_000;
    using wait = new Wait(receiver, { ...it.options, limit });
    await fail(it, sender);
    const error = await assertRejects(() => lockKey(it.locks, "a", wait), EnrootError, why);
    const kinds = [error instanceof RemoteError, error instanceof SilentError];
    assertEquals(kinds, [why === "not any more", why === "nothing came"]);
    it.lock?.[Symbol.dispose]();
  }
});

Deno.test("what comes after a wait does not end with its time", async () => {
  await using it = await scene();
  using wait = new Wait(new Channel(it.far), { ...it.options, limit: 20 });
  wait.onWait("process 1 (enroot)");
  wait[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assertEquals(wait.signal.aborted, false);
  it.lock?.[Symbol.dispose]();
});
