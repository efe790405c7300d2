import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { documentSeconds, readBody, readDocumentBody } from "./body.ts";

const piece = new Uint8Array(1000);

/** A body that sends pieces and then, unless it ends, nothing any more. */
function body(pieces: number, ends: boolean, every = 0): Response & { cancelled: () => boolean } {
  let cancelled = false;
  let sent = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      if (sent < pieces) {
        if (every > 0) await new Promise((resolve) => setTimeout(resolve, every));
        sent++;
        if (!cancelled) controller.enqueue(piece.slice());
      } else if (ends) controller.close();
      else await new Promise(() => {});
    },
    cancel() {
      cancelled = true;
    },
  });
  return Object.assign(new Response(stream), { cancelled: () => cancelled });
}

async function sizeOf(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const bytes of stream) size += bytes.length;
  return size;
}

Deno.test("a body is read to its end", async () => {
  const { signal } = new AbortController();
  assertEquals(await sizeOf(readBody(body(5, true), "x", { signal })), 5000);
  assertEquals((await readDocumentBody(body(5, true), "x", { signal })).length, 5000);
  assertEquals(await sizeOf(readBody(new Response(null), "x", { signal })), 0);
});

Deno.test("a body that stalls is given up, and its connection too", async () => {
  const { signal } = new AbortController();
  const response = body(3, false);
  const error = await assertRejects(
    () => sizeOf(readBody(response, "the blob", { signal, stallSeconds: 0.1 })),
    EnrootError,
    "the blob: no byte came for 0.1 s",
  );
  assertEquals(error.code, "unreachable");
  assert(response.cancelled());
});

Deno.test("a body that trickles for ever ends at the limit for all of it", async () => {
  const { signal } = new AbortController();
  const limits = { signal, stallSeconds: 5, totalSeconds: 0.2, totalSetting: "THE_SETTING" };
  await assertRejects(
    () => sizeOf(readBody(body(1e6, true, 20), "the blob", limits)),
    EnrootError,
    "the blob: not complete after 0.2 s (THE_SETTING)",
  );
});

Deno.test("a body that trickles is given up when too little of it comes", async () => {
  const limits = { signal: new AbortController().signal, stallSeconds: 0.3 };
  // A thousand bytes each 40 ms: less than 16 KiB in 0.3 s of waiting.
  const error = await assertRejects(
    () => sizeOf(readBody(body(1e6, true, 40), "the blob", limits)),
    EnrootError,
    "bytes came in 0.3 s",
  );
  assertEquals(error.code, "unreachable");
  // Each 5 ms: more.
  assertEquals(await sizeOf(readBody(body(150, true, 5), "the blob", limits)), 150_000);
});

Deno.test("the limit for all of it counts from when it began", async () => {
  const { signal } = new AbortController();
  const limits = { signal, totalSeconds: 60, begunAt: performance.now() - 60_000 };
  const error = await assertRejects(
    () => sizeOf(readBody(body(1e6, true, 20), "the blob", limits)),
    EnrootError,
    "not complete after 60 s",
  );
  assertEquals(error.code, "too-slow");
});

Deno.test("a reader that takes its time is no stall", async () => {
  const { signal } = new AbortController();
  let size = 0;
  for await (const bytes of readBody(body(2, true), "x", { signal, stallSeconds: 0.1 })) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    size += bytes.length;
  }
  assertEquals(size, 2000);
});

Deno.test("a signal ends a read that waits, with its own reason", async () => {
  const abort = new AbortController();
  const reason = new Error("stopped");
  setTimeout(() => abort.abort(reason), 50);
  const response = body(0, false);
  const error = await assertRejects(
    () => sizeOf(readBody(response, "x", { signal: abort.signal })),
    Error,
  );
  assertEquals(error, reason);
  assert(response.cancelled());
});

Deno.test("a document has a limit for all of it, whatever is set for blobs", async () => {
  const { signal } = new AbortController();
  const begunAt = performance.now() - documentSeconds * 1000;
  const error = await assertRejects(
    () => readDocumentBody(body(1e6, true, 20), "the manifest", { signal, begunAt }),
    EnrootError,
    `the manifest: not complete after ${documentSeconds} s`,
  );
  assertEquals([error.code, /ENROOT_/.test(error.message)], ["too-slow", false]);
});

Deno.test("a document without end is refused, not kept", async () => {
  const { signal } = new AbortController();
  const error = await assertRejects(
    () => readDocumentBody(body(1e5, true), "the manifest", { signal }),
    EnrootError,
  );
  assertEquals(error.code, "too-large");
});
