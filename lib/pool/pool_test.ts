import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { file, Place } from "../../tests/support/layer_place.ts";
import { rawArchive } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { WorkerPool } from "./pool.ts";

const real = new URL("../../workers/apply_layer.ts", import.meta.url);
const quiet = (signal = new AbortController().signal) => ({ signal, onProgress: () => {} });

/** A worker's module that does something else when it is asked; `busy()` holds it for a while. */
function module(onRequest: string, isReady = true): URL {
  const ready =
    `self.postMessage({ kind: "ready", thread: Deno.readLinkSync("/proc/thread-self") });`;
  const text = `self.onmessage = ({ data }) => { ${onRequest} }; ${isReady ? ready : ""}`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

/** Each thread of this process that runs a worker. */
function workerThreads(): string[] {
  const comm = (task: string): string => {
    try {
      return Deno.readTextFileSync(`/proc/self/task/${task}/comm`);
    } catch {
      return "";
    }
  };
  return [...Deno.readDirSync("/proc/self/task")].map(({ name }) => name)
    .filter((task) => comm(task).startsWith("worker-"));
}

/** The bytes of as many entries, each of which is made anew. */
function entries(count: number): Uint8Array<ArrayBuffer> {
  const once = rawArchive(...Array.from({ length: 1000 }, (_, index) => file(`d/${index}`)));
  return rawArchive(...Array.from({ length: count / 1000 }, () => once.subarray(0, -1024)));
}

Deno.test("pool: layers are applied, more of them than there are workers", async () => {
  const places = Array.from({ length: 5 }, () => new Place());
  try {
    await using pool = new WorkerPool(real, 2);
    const requests = await Promise.all(
      places.map((place, index) => place.request(rawArchive(file(`f${index}`, "x")))),
    );
    await Promise.all(requests.map((request) => pool.applyLayer(request, quiet())));
    assertEquals(places.map((place) => place.list()), [0, 1, 2, 3, 4].map((at) => [`f${at}=x`]));
  } finally {
    for (const place of places) place[Symbol.dispose]();
  }
  assertEquals(workerThreads(), []);
});

Deno.test("pool: a request that is cancelled while it waits ends at once and is never begun", async () => {
  using busy = new Place();
  using waiting = new Place();
  await using pool = new WorkerPool(real, 1);
  const stop = new AbortController();
  let isFirstDone = false;
  const first = pool.applyLayer(await busy.request(entries(6000)), quiet())
    .then(() => isFirstDone = true);
  const second = pool.applyLayer(
    await waiting.request(rawArchive(file("f"))),
    quiet(stop.signal),
  );
  stop.abort(new EnrootError("cancelled", "enough"));
  await assertRejects(() => second, EnrootError, "enough");
  assertEquals(isFirstDone, false);
  await first;
  assertEquals(waiting.list(), []);
  const third = pool.applyLayer(await waiting.request(rawArchive(file("g"))), quiet());
  assertEquals((await third).entries, 1);
});

Deno.test("pool: a request that is cancelled on its way stops soon, and its worker serves the next", async () => {
  using place = new Place();
  await using pool = new WorkerPool(real, 1);
  const stop = new AbortController();
  const request = await place.request(entries(150_000), { compression: "gzip" });
  const applied = pool.applyLayer(request, quiet(stop.signal));
  while (place.list().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const before = performance.now();
  stop.abort(new EnrootError("cancelled", "enough"));
  await assertRejects(() => applied, EnrootError, "enough");
  const took = performance.now() - before;
  assert(took < 2000, `it took ${took} ms`);
  const threads = workerThreads();
  await pool.applyLayer(await place.request(rawArchive(file("after"))), quiet());
  assertEquals(workerThreads(), threads);
});

const deaths: [what: string, url: URL, why: string, waits?: { start: number }][] = [
  ["closes itself before it takes requests", module("self.close()", false), "did not start", {
    start: 300,
  }],
  ["closes itself", module("self.close()"), "ended without an answer"],
  ["throws", module("throw new Error('broken')"), "broken"],
  ["cannot be loaded", new URL("file:///nonexistent/worker.ts"), "not found"],
];
for (const [what, url, why, waits] of deaths) {
  Deno.test(`pool: a worker that ${what} fails its layer, and another takes its place`, async () => {
    using place = new Place();
    await using pool = new WorkerPool(url, 1, waits === undefined ? {} : { waits });
    const request = await place.request(rawArchive(file("f")));
    // The second waits for the first's worker.
    const errors = await Promise.all(
      [1, 2].map(() =>
        assertRejects(() => pool.applyLayer(request, quiet()), EnrootError, "layer 1")
      ),
    );
    assertEquals(errors.map(({ code }) => code), ["worker-died", "worker-died"]);
    for (const { message } of errors) assert(message.includes(why), message);
  });
}

Deno.test("pool: a worker that does not stop is waited for before the failure is told", async () => {
  using place = new Place();
  // It hears nothing for a second, as in a system call that takes so long, and writes at the end.
  const url = module(`
    Deno.writeTextFileSync(data.root + "/begun", "");
    for (const end = Date.now() + 1000; Date.now() < end;);
    Deno.writeTextFileSync(data.root + "/late", "");
  `);
  await using pool = new WorkerPool(url, 1, { waits: { stop: 100 } });
  const stop = new AbortController();
  const applied = pool.applyLayer(await place.request(rawArchive()), quiet(stop.signal));
  while (place.list().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  const error = await assertRejects(() => applied, EnrootError, "did not stop");
  assertEquals([error.code, workerThreads(), place.list()], [
    ...["worker-died", [], ["begun=", "late="]],
  ]);
});

Deno.test("pool: a worker whose thread does not end in time is named", async () => {
  using place = new Place();
  const url = module(`
    Deno.writeTextFileSync(data.root + "/begun", "");
    for (const end = Date.now() + 1000; Date.now() < end;);
  `);
  const warnings: string[] = [];
  const waits = { stop: 100, end: 100 };
  {
    await using pool = new WorkerPool(url, 1, { waits, warn: (text) => void warnings.push(text) });
    const stop = new AbortController();
    const applied = pool.applyLayer(await place.request(rawArchive()), quiet(stop.signal));
    while (place.list().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort();
    await assertRejects(() => applied, EnrootError, "did not stop");
  }
  assertEquals(warnings.length, 1);
  assertMatch(
    warnings.join(),
    /^layer 1: the thread of its worker, \/proc\/.+, is still there 0\.1 s after it was told to end/,
  );
  while (workerThreads().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});
