import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { EnrootError } from "../../errors.ts";
import { DigestMismatchError, parseDigest } from "../../oci/digest.ts";
import { BlobCache, type BlobRequest } from "./blob_cache.ts";
import { holdBlob, removeUnused } from "./held_blob.ts";

const content = new TextEncoder().encode("some content");
const digest = parseDigest(`sha256:${createHash("sha256").update(content).digest("hex")}`);

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function request(changes: Partial<BlobRequest> = {}, bytes: Uint8Array = content): BlobRequest {
  return {
    digest,
    size: content.length,
    what: "the blob",
    signal: new AbortController().signal,
    fetch: (offset) => Promise.resolve({ offset, bytes: pieces(bytes.subarray(offset)) }),
    ...changes,
  };
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 5) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield bytes.subarray(at, at + 5);
  }
}

const names = (folder: string): string[] =>
  [...Deno.readDirSync(`${folder}/blobs/sha256`)].map(({ name }) => name);
const never = (): Promise<never> => Promise.reject(new Error("it must not be fetched"));

Deno.test("a blob is fetched once, and the cache is an OCI layout", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    using fetched = await cache.get(request());
    assertEquals(await Deno.readFile(fetched.path), content);
    using there = await cache.get(request({ fetch: never }));
    assertEquals([there.path, there.isFetched, fetched.isFetched], [fetched.path, false, true]);
    assertEquals(names(folder), [digest.slice(7)]);
    const layout = JSON.parse(await Deno.readTextFile(`${folder}/oci-layout`));
    assertEquals(layout, { imageLayoutVersion: "1.0.0" });
  }));

Deno.test("many that want one blob at once fetch it once", () =>
  inFolder(async (folder) => {
    let fetches = 0;
    const own = new BlobCache(folder);
    const held = await Promise.all(Array.from({ length: 10 }, (_, index) =>
      // Some have a cache of their own, as each process has.
      (index < 5 ? own : new BlobCache(folder)).get(request({
        fetch: () => {
          fetches++;
          return Promise.resolve({ offset: 0, bytes: pieces(content) });
        },
      }))));
    assertEquals([fetches, new Set(held.map(({ path }) => path)).size], [1, 1]);
    for (const each of held) each[Symbol.dispose]();
    assertEquals(names(folder), [digest.slice(7)]);
  }));

const wrong: [what: string, bytes: Uint8Array, code: string][] = [
  ["other bytes", new TextEncoder().encode("SOME content"), "digest-mismatch"],
  ["too many bytes", new Uint8Array([...content, 1]), "size-mismatch"],
];
for (const [what, bytes, code] of wrong) {
  Deno.test(`${what} are refused, and nothing of them is left`, () =>
    inFolder(async (folder) => {
      const cache = new BlobCache(folder);
      const error = await assertRejects(() => cache.get(request({}, bytes)), EnrootError);
      assertEquals(error.code, code);
      assertEquals(names(folder), []);
      using held = await cache.get(request());
      assertEquals(await Deno.readFile(held.path), content);
    }));
}

const left: [what: string, text: string, offsets: number[]][] = [
  ["its beginning is gone on with", "some con", [8]],
  ["all of it needs no request", "some content", []],
  ["other bytes are found out, and fetched from the beginning, once", "SOME con", [8, 0]],
  ["as many other bytes are found out, too", "SOME content", [0]],
  ["too many bytes are fetched from the beginning", "something half and much longer", [0]],
];
for (const [what, text, expected] of left) {
  Deno.test(`of what a killed process left of a blob: ${what}`, () =>
    inFolder(async (folder) => {
      const cache = new BlobCache(folder);
      await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
      await Deno.writeTextFile(`${cache.pathOf(digest)}.partial`, text);
      const offsets: number[] = [];
      let counted = 0;
      using held = await cache.get(request({
        onProgress: (bytes) => void (counted += bytes),
        fetch: (offset) => {
          offsets.push(offset);
          return Promise.resolve({ offset, bytes: pieces(content.subarray(offset)) });
        },
      }));
      assertEquals(await Deno.readFile(held.path), content);
      assertEquals(names(folder), [digest.slice(7)]);
      assertEquals([offsets, counted], [expected, content.length]);
    }));
}

Deno.test("what arrived of a blob that broke off stays for the next attempt", () =>
  inFolder(async (folder) => {
    let kept = 0;
    const short = request({ onKept: (bytes) => void (kept = bytes) }, content.subarray(0, 7));
    const error = await assertRejects(() => new BlobCache(folder).get(short), EnrootError);
    assertEquals([error.code, kept], ["truncated", 7]);
    assertEquals(names(folder), [`${digest.slice(7)}.partial`]);
    const offsets: number[] = [];
    using held = await new BlobCache(folder).get(request({
      fetch: (offset) => {
        offsets.push(offset);
        return Promise.resolve({ offset, bytes: [content.subarray(offset)] });
      },
    }));
    assertEquals([offsets, await Deno.readFile(held.path)], [[7], content]);
  }));

Deno.test("a process that is stopped while it fetches is not waited for without end", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder, { patience: 300 });
    await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
    using partial = await Deno.open(`${cache.pathOf(digest)}.partial`, {
      write: true,
      create: true,
    });
    assert(await partial.tryLock(true));
    using held = await cache.get(request());
    assertEquals(await Deno.readFile(held.path), content);
    assertEquals(names(folder).sort(), [digest.slice(7), `${digest.slice(7)}.partial`]);
  }));

Deno.test("who gets on too slowly is not waited for by others, of whom one at a time fetches, too", () =>
  inFolder(async (folder) => {
    const abort = new AbortController();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    async function* slow(on: () => void): AsyncGenerator<Uint8Array> {
      for (let at = 0;; at = Math.min(at + 1, content.length - 1)) {
        yield content.subarray(at, Math.min(at + 1, content.length - 1));
        on();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    const by = (patience: number, on: () => void): Promise<unknown> =>
      assertRejects(() =>
        new BlobCache(folder, { patience }).get(request({
          signal: abort.signal,
          fetch: () => Promise.resolve({ offset: 0, bytes: slow(on) }),
        }))
      );
    const stuck = [by(60_000, first.resolve)];
    await first.promise;
    stuck.push(by(300, second.resolve));
    await second.promise;
    // Behind two who are too slow there is a third way, and those who wait for that fetch nothing.
    const told: [number, number][] = [];
    let fetches = 0;
    const cache = new BlobCache(folder, { patience: 300 });
    const all = await Promise.all(
      [cache, cache, new BlobCache(folder, { patience: 300 })].map((each) =>
        each.get(request({
          onImpatience: (...what) => void told.push(what),
          fetch: (offset) => {
            fetches++;
            return Promise.resolve({ offset, bytes: pieces(content.subarray(offset)) });
          },
        }))
      ),
    );
    assertEquals(await Deno.readFile(all[0]?.path ?? ""), content);
    for (const each of all) each[Symbol.dispose]();
    assertEquals(fetches, 1);
    assert(told.length >= 2 && told.every(([bytes]) => bytes <= content.length), `${told}`);
    abort.abort(new Error("enough"));
    await Promise.all(stuck);
    // What a first one has stays for the next attempt, and nothing else.
    assertEquals(names(folder).sort(), [digest.slice(7), `${digest.slice(7)}.partial`]);
  }));

Deno.test("who waits for his turn in this process is waited for, however long that takes", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder, { patience: 100 });
    await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
    await Deno.writeTextFile(`${cache.pathOf(digest)}.partial`, "some");
    const { promise: turn, resolve } = Promise.withResolvers<void>();
    let impatient = 0;
    const first = cache.get(request({
      turn: async () => {
        await turn;
        return { [Symbol.dispose]() {} };
      },
    }));
    const second = cache.get(request({ fetch: never, onImpatience: () => impatient++ }));
    setTimeout(resolve, 700);
    using held = await first;
    using same = await second;
    assertEquals([same.path, impatient], [held.path, 0]);
  }));

Deno.test("a damaged document is fetched again; one that stays wrong is refused", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    const write = (text: string): Promise<void> => Deno.writeTextFile(cache.pathOf(digest), text);
    (await cache.get(request()))[Symbol.dispose]();
    await write("DAMAGED, but");
    assertEquals(await cache.read(request()), content);
    assertEquals(await cache.find(digest, 100), content);
    assertEquals(await cache.find(digest, 5), undefined);
    await write("DAMAGED, but");
    assertEquals(await cache.find(digest, 100), undefined);
    assertEquals(names(folder), []);
    const bytes = new TextEncoder().encode("SOME content");
    await assertRejects(() => cache.read(request({}, bytes)), DigestMismatchError);
  }));

Deno.test("a fetch that is stopped leaves nothing, and so does waiting for another", () =>
  inFolder(async (folder) => {
    const abort = new AbortController();
    const reason = new Error("stopped");
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield new Uint8Array(0);
      }
    }
    const both = [1, 2].map(() =>
      new BlobCache(folder).get(request({
        signal: abort.signal,
        fetch: () => Promise.resolve({ offset: 0, bytes: endless() }),
      }))
    );
    setTimeout(() => abort.abort(reason), 50);
    for (const outcome of await Promise.allSettled(both)) {
      assert(outcome.status === "rejected" && outcome.reason === reason);
    }
    assertEquals(names(folder), []);
  }));

Deno.test("what fails in the network is not said to be the cache's fault", () =>
  inFolder(async (folder) => {
    const failure = new EnrootError("unreachable", "Connection refused (os error 111)");
    const fetch = (): Promise<never> => Promise.reject(failure);
    assertEquals(await assertRejects(() => new BlobCache(folder).get(request({ fetch }))), failure);
  }));

Deno.test("progress that came to nothing is taken back", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    let counted = 0;
    const onProgress = (bytes: number): void => void (counted += bytes);
    await assertRejects(() => cache.get(request({ onProgress }, content.subarray(1))));
    assertEquals(counted, 0);
    using _held = await cache.get(request({ onProgress }));
    assertEquals(counted, content.length);
  }));

Deno.test("who waits for another is told so once", () =>
  inFolder(async (folder) => {
    const { promise: free, resolve } = Promise.withResolvers<void>();
    async function* late(): AsyncGenerator<Uint8Array> {
      await free;
      yield content;
    }
    let told = 0;
    const first = new BlobCache(folder).get(request({
      fetch: () => Promise.resolve({ offset: 0, bytes: late() }),
    }));
    const second = new BlobCache(folder).get(request({
      fetch: never,
      onWait: () => {
        told++;
        setTimeout(resolve, 300);
      },
    }));
    using held = await first;
    using same = await second;
    assertEquals(same.path, held.path);
    assertEquals(told, 1);
  }));

Deno.test("a cache that cannot be written is named, with what to set", async () => {
  const error = await assertRejects(() => new BlobCache("/proc/x").get(request()), EnrootError);
  assert(error.message.includes("/proc/x") && error.message.includes("ENROOT_CACHE_PATH"));
});

Deno.test("a cache path that is a file is named, too", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const error = await assertRejects(
      () => new BlobCache(`${folder}/file`).get(request()),
      EnrootError,
    );
    assert(error.message.includes("ENROOT_CACHE_PATH"), error.message);
  }));

Deno.test("a blob in use is not removed, and one that was removed is not taken for there", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    const held = await cache.get(request());
    using again = await cache.get(request({ fetch: never }));
    assertEquals(removeUnused(held.path), false);
    held[Symbol.dispose]();
    assertEquals(removeUnused(held.path), false, "the other one still uses it");
    again[Symbol.dispose]();
    assertEquals([removeUnused(held.path), names(folder)], [true, []]);
    assertEquals(await holdBlob(held.path, undefined), undefined);
  }));

Deno.test("who uses a blob and who removes it, both as often as they can, never miss each other", () =>
  inFolder(async (folder) => {
    const path = new BlobCache(folder).pathOf(digest);
    let removed = 0;
    const end = performance.now() + 700;
    async function use(): Promise<void> {
      const cache = new BlobCache(folder);
      while (performance.now() < end) {
        using held = await cache.get(request({
          fetch: () => Promise.resolve({ offset: 0, bytes: [content] }),
        }));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        assertEquals(await Deno.readFile(held.path), content);
        held[Symbol.dispose]();
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
      }
    }
    async function remove(): Promise<void> {
      while (performance.now() < end) {
        const there = names(folder).includes(digest.slice(7));
        if (removeUnused(path) && there) removed++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
    (await new BlobCache(folder).get(request()))[Symbol.dispose]();
    await Promise.all([use(), use(), remove()]);
    assert(removed > 5, `${removed}`);
  }));
