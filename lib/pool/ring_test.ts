import { assert, assertEquals, assertThrows } from "@std/assert";
import { createRing, readRing, resetRing, RingWriter } from "./ring.ts";

const module = new URL("./ring.ts", import.meta.url).href;

/** Run code in another thread, with `ring` and what the ring's module exports, to its end. */
async function inThread<T>(ring: SharedArrayBuffer, code: string, work: () => T): Promise<T> {
  const text = `
    import { readRing, RingWriter } from ${JSON.stringify(module)};
    self.onmessage = ({ data: ring }) => { ${code}; self.postMessage("done"); };
    self.postMessage("ready");`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(text)}`, { type: "module" });
  const next = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
      worker.addEventListener("error", (event) => reject(event.error ?? event.message));
    });
  try {
    await next();
    const done = next();
    worker.postMessage(ring);
    const result = work();
    assertEquals(await done, "done");
    return result;
  } finally {
    worker.terminate();
  }
}

/** A byte of the stream that tests send: no two slots of it are alike. */
const byteAt = "(at) => (at * 7 + (at >> 10)) & 255";
const expectedAt = (at: number): number => (at * 7 + (at >> 10)) & 255;

Deno.test("ring: what one thread writes another reads, in order, whoever is ahead", async () => {
  const total = 9_000_000;
  const ring = createRing();
  assert(ring.byteLength < total / 3, "the ring has to be filled more than once");
  const pieces = [1, 511, 262_144, 300_000, 7, 1_000_000];
  const write = `
    const byteAt = ${byteAt};
    const writer = new RingWriter(ring, () => {});
    const pieces = ${JSON.stringify(pieces)};
    for (let at = 0, turn = 0; at < ${total}; turn++) {
      const length = Math.min(pieces[turn % pieces.length], ${total} - at);
      writer.note(10);
      writer.write(Uint8Array.from({ length }, (_, index) => byteAt(at + index)));
      at += length;
    }
    writer.end();`;
  const rounds = Math.ceil(total / pieces.reduce((sum, size) => sum + size));
  await inThread(ring, write, () => {
    let at = 0;
    let noted = 0;
    for (const { bytes, stored } of readRing(ring, () => {})) {
      noted += stored;
      for (const byte of bytes) {
        if (byte !== expectedAt(at++)) throw new Error(`byte ${at - 1} is wrong`);
      }
    }
    assertEquals(at, total);
    assert(noted > 10 * pieces.length * (rounds - 1), `${noted} stored bytes were told`);
  });
});

Deno.test("ring: a writer that nobody reads from stops when it is told to, and so does a reader", () => {
  const ring = createRing();
  let asked = 0;
  const check = (): void => {
    if (++asked > 20) throw new RangeError("enough");
  };
  const writer = new RingWriter(ring, check);
  assertThrows(() => writer.write(new Uint8Array(ring.byteLength + 1)), RangeError, "enough");
  asked = 0;
  assertThrows(() => [...readRing(createRing(), check)], RangeError, "enough");
});

Deno.test("ring: one that was used is as good as new once it is reset, also for no bytes at all", () => {
  const ring = createRing();
  for (const content of ["first", "", "second"]) {
    const writer = new RingWriter(ring, () => {});
    writer.note(3);
    writer.write(new TextEncoder().encode(content));
    writer.end();
    const pieces = [...readRing(ring, () => {})].map(({ bytes, stored }) => [
      ...[new TextDecoder().decode(bytes.slice()), stored],
    ]);
    assertEquals(pieces, [[content, 3]]);
    resetRing(ring);
  }
});
