import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { EnrootError } from "../../errors.ts";
import { DigestMismatchError, parseDigest } from "../../oci/digest.ts";
import { BlobCache, type BlobRequest } from "./blob_cache.ts";

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
    fetch: () => Promise.resolve(pieces(bytes)),
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
    const path = await cache.get(request());
    assertEquals(await Deno.readFile(path), content);
    assertEquals(await cache.get(request({ fetch: never })), path);
    assertEquals(names(folder), [digest.slice(7)]);
    const layout = JSON.parse(await Deno.readTextFile(`${folder}/oci-layout`));
    assertEquals(layout, { imageLayoutVersion: "1.0.0" });
  }));

Deno.test("many that want one blob at once fetch it once", () =>
  inFolder(async (folder) => {
    let fetches = 0;
    const paths = await Promise.all(Array.from({ length: 10 }, () =>
      // Each has a cache of its own, as each process has.
      new BlobCache(folder).get(request({
        fetch: () => {
          fetches++;
          return Promise.resolve(pieces(content));
        },
      }))));
    assertEquals([fetches, new Set(paths).size], [1, 1]);
    assertEquals(names(folder), [digest.slice(7)]);
  }));

const wrong: [what: string, bytes: Uint8Array, code: string][] = [
  ["other bytes", new TextEncoder().encode("SOME content"), "digest-mismatch"],
  ["too few bytes", content.subarray(1), "size-mismatch"],
  ["too many bytes", new Uint8Array([...content, 1]), "size-mismatch"],
];
for (const [what, bytes, code] of wrong) {
  Deno.test(`${what} are refused, and nothing of them is left`, () =>
    inFolder(async (folder) => {
      const cache = new BlobCache(folder);
      const error = await assertRejects(() => cache.get(request({}, bytes)), EnrootError);
      assertEquals(error.code, code);
      assertEquals(names(folder), []);
      assertEquals(await Deno.readFile(await cache.get(request())), content);
    }));
}

Deno.test("what a killed process left of a blob is not used, and is gone", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
    await Deno.writeTextFile(`${cache.pathOf(digest)}.partial`, "something half and much longer");
    assertEquals(await Deno.readFile(await cache.get(request())), content);
    assertEquals(names(folder), [digest.slice(7)]);
  }));

Deno.test("a damaged document is fetched again; one that stays wrong is refused", () =>
  inFolder(async (folder) => {
    const cache = new BlobCache(folder);
    const path = await cache.get(request());
    await Deno.writeTextFile(path, "DAMAGED, but");
    assertEquals(await cache.read(request()), content);
    cache.discard(digest);
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
        fetch: () => Promise.resolve(endless()),
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
    await cache.get(request({ onProgress }));
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
    const first = new BlobCache(folder).get(request({ fetch: () => Promise.resolve(late()) }));
    const second = new BlobCache(folder).get(request({
      fetch: never,
      onWait: () => {
        told++;
        setTimeout(resolve, 300);
      },
    }));
    assertEquals(await second, await first);
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
