import { assert, assertEquals, assertRejects } from "@std/assert";
import { file, Place, sha256 } from "../../tests/support/layer_place.ts";
import { rawArchive, rawMember } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { parseDiffId, parseDigest } from "../oci/digest.ts";
import { WorkerPool } from "./pool.ts";
import type { ApplyLayer } from "./protocol.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const real = new URL("../../workers/apply_layer.ts", import.meta.url);
const quiet = (signal = new AbortController().signal) => ({ signal, onProgress: () => {} });

/** How many threads of this process run workers. */
function workerThreads(): number {
  return [...Deno.readDirSync("/proc/self/task")].filter(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/self/task/${name}/comm`).startsWith("worker-");
    } catch {
      return false;
    }
  }).length;
}

/** How many descriptors this process has open, but for the one that is used to count them. */
function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Bytes that no compression makes fewer, the same every time. */
function noise(size: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let at = 0, state = 1; at < size; at++) {
    state = Math.imul(state, 1_103_515_245) + 12_345 | 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

const content = noise(9 << 20);
const large = rawArchive(rawMember({ name: "large", content }), file("small", "x"));

for (const compression of ["none", "gzip"] as const) {
  Deno.test(`pool by two, ${compression}: a large layer is applied by two threads, told of as a whole`, async () => {
    using place = new Place();
    let told = 0;
    let most = 0;
    {
      await using pool = new WorkerPool(real, 2);
      const request = await place.request(large, { compression });
      const summary = await pool.applyLayer(request, {
        ...quiet(),
        onProgress: (bytes) => {
          told += bytes;
          most = Math.max(most, workerThreads());
        },
      });
      assertEquals([summary.entries, summary.tarSize], [2, large.length]);
      assertEquals([told, most], [request.file.size, 2]);
    }
    assertEquals(sha256(Deno.readFileSync(`${place.root}/large`)), sha256(content));
    assertEquals(Deno.readTextFileSync(`${place.root}/small`), "x");
    assertEquals(workerThreads(), 0);
  });

  const wrong = `sha256:${"0".repeat(64)}`;
  const failures: [what: string, tar: Bytes, changes: Partial<ApplyLayer>, code: string][] = [
    ["another digest", large, { digest: parseDigest(wrong) }, "digest-mismatch"],
    ["another diff ID", large, { diffId: parseDiffId(wrong) }, "digest-mismatch"],
    [
      "an archive that is cut short",
      large.slice(0, large.length - 4096),
      {},
      "bad-archive",
    ],
    [
      "an entry that cannot be, before much else",
      rawArchive(file(".wh."), rawMember({ name: "large", content })),
      {},
      "bad-archive",
    ],
    ["more than it may have", large, { limits: { maxSize: 6 << 20 } }, "too-large"],
  ];
  for (const [what, tar, changes, code] of failures) {
    Deno.test(`pool by two, ${compression}: ${what} fails as it does with one`, async () => {
      await using pool = new WorkerPool(real, 2);
      await using alone = new WorkerPool(real, 1);
      const messages: string[] = [];
      for (const each of [alone, pool]) {
        using place = new Place();
        const request = await place.request(tar, { compression, ...changes });
        assert(request.file.size > 4 << 20);
        const error = await assertRejects(() => each.applyLayer(request, quiet()), EnrootError);
        assertEquals(error.code, code, error.message);
        messages.push(error.message);
      }
      // Who finds out first that a tar ends too early is not the same.
      if (what !== "an archive that is cut short") assertEquals(messages[0], messages[1]);
      // Neither worker was lost by it.
      const threads = workerThreads();
      using place = new Place();
      await pool.applyLayer(await place.request(large, { compression }), quiet());
      assertEquals([workerThreads(), place.list().length], [threads, 2]);
    });
  }
}

Deno.test("pool by two: a layer that is cancelled leaves no thread and no descriptor, and its reason is told", async () => {
  {
    // The first workers of a process make the runtime open things that it keeps.
    using other = new Place();
    await using pool = new WorkerPool(real, 2);
    await pool.applyLayer(await other.request(large), quiet());
  }
  using place = new Place();
  const before = descriptors();
  {
    await using pool = new WorkerPool(real, 2);
    const stop = new AbortController();
    const many = Array.from({ length: 15 }, (_, at) => rawMember({ name: `f${at}`, content }));
    const names = (): number => [...Deno.readDirSync(place.root)].length;
    const request = await place.request(rawArchive(...many));
    const applied = pool.applyLayer(request, quiet(stop.signal));
    while (names() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    stop.abort(new EnrootError("cancelled", "enough"));
    const began = performance.now();
    await assertRejects(() => applied, EnrootError, "enough");
    assert(performance.now() - began < 20_000);
    assert(names() < many.length, "it was applied before it could be cancelled");
  }
  assertEquals([workerThreads(), descriptors()], [0, before]);
});

Deno.test("pool by two: when one of them dies, the layer fails for that reason and the other ends", async () => {
  for (const kind of ["inflate-layer", "apply-layer"]) {
    using place = new Place();
    // A real worker, but for what it does with one kind of request.
    const text = `
      await import(${JSON.stringify(real.href)});
      const { onmessage } = self;
      self.onmessage = (event) => {
        if (event.data.kind !== ${JSON.stringify(kind)}) return onmessage(event);
        throw new Error("broken on purpose");
      };`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
    {
      await using pool = new WorkerPool(url, 2);
      const error = await assertRejects(
        async () => pool.applyLayer(await place.request(large), quiet()),
        EnrootError,
        "broken on purpose",
      );
      assertEquals(error.code, "worker-died");
    }
    assertEquals(workerThreads(), 0);
  }
});

Deno.test("pool by two: several images at once never wait for each other's second worker", async () => {
  const places = Array.from({ length: 4 }, () => new Place());
  try {
    await using pool = new WorkerPool(real, 3);
    await Promise.all(
      places.map(async (place) => pool.applyLayer(await place.request(large), quiet())),
    );
    assert(workerThreads() <= 3);
    for (const place of places) assertEquals(place.stat("large").size, content.length);
  } finally {
    for (const place of places) place[Symbol.dispose]();
  }
});
