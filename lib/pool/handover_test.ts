import { assert, assertEquals, assertRejects } from "@std/assert";
import { run } from "../../tests/support/command.ts";
import { Place } from "../../tests/support/layer_place.ts";
import { rawArchive, rawMember } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { type HandedFile, Handover } from "./handover.ts";
import { WorkerPool } from "./pool.ts";
import { createRing, readRing, RingWriter } from "./ring.ts";
import { slotSize } from "./ring_side.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const module = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
const applier = new URL("../../workers/apply_layer.ts", import.meta.url);
const quiet = { signal: new AbortController().signal, onProgress: () => {} };
const nothing = (): void => {};

/** The files of the first two tests: their descriptors are numbers, and nothing is really open. */
const fileSize = 1000;

Deno.test("handover: every file is completed once, with its own bytes, by either of two threads", async () => {
  const files = 20_000;
  const perSlot = Math.floor(slotSize / fileSize);
  const ring = createRing();
  const seen = new SharedArrayBuffer(files * 4);
  const sums = new SharedArrayBuffer(files * 4);
  const text = `
    import { Handover } from ${module("./handover.ts")};
    import { RingWriter } from ${module("./ring.ts")};
    self.onmessage = ({ data: { ring, seen, sums } }) => {
      const done = new Int32Array(seen), sum = new Int32Array(sums);
      let own = 0;
      const finish = ({ descriptor, bytes }) => {
        own++;
        Atomics.add(done, descriptor, 1);
        Atomics.add(sum, descriptor, bytes.reduce((all, each) => all + each, 0));
      };
      const handover = new Handover(ring, () => {}, finish, () => {});
      const writer = new RingWriter(ring, () => {}, handover.finishOne);
      for (let at = 0; at < ${files}; at += ${perSlot}) {
        const slot = new Uint8Array(${slotSize});
        for (let index = 0; index < ${perSlot}; index++) {
          slot.fill((at + index) % 251, index * ${fileSize}, (index + 1) * ${fileSize});
        }
        writer.write(slot);
      }
      writer.end();
      writer.workUntilRead();
      self.postMessage(own);
    };
    self.postMessage("ready");`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(text)}`, { type: "module" });
  try {
    const next = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        worker.addEventListener("message", ({ data }) => resolve(data), { once: true });
        worker.addEventListener("error", (event) => reject(event.error ?? event.message));
      });
    await next();
    const others = next();
    worker.postMessage({ ring, seen, sums });
    const [done, sum] = [new Int32Array(seen), new Int32Array(sums)];
    const finish = ({ descriptor, bytes }: HandedFile): void => {
      Atomics.add(done, descriptor, 1);
      Atomics.add(sum, descriptor, bytes.reduce((all, each) => all + each, 0));
    };
    using handover = new Handover(ring, nothing, finish, nothing);
    let handed = 0;
    let number = 0;
    for (const { bytes } of readRing(ring, nothing)) {
      for (let at = 0; at + fileSize <= bytes.length && number < files; at += fileSize) {
        const content = bytes.subarray(at, at + fileSize);
        const each = { descriptor: number++, bytes: content, seconds: 1, nanoseconds: 2 };
        if (handover.offer(each)) handed++;
        else finish(each);
      }
    }
    handover.settle();
    for (let at = 0; at < files; at++) {
      assertEquals([at, done[at], sum[at]], [at, 1, at % 251 * fileSize]);
    }
    const byOther = await others;
    assert(
      typeof byOther === "number" && byOther > 0 && byOther <= handed,
      `${byOther}, ${handed}`,
    );
  } finally {
    worker.terminate();
  }
});

Deno.test("handover: what nobody has taken is closed, by whoever ends, and nothing twice", () => {
  const ring = createRing();
  const writer = new RingWriter(ring, nothing);
  writer.write(new Uint8Array(3 * slotSize));
  const closed: number[] = [];
  const finished: HandedFile[] = [];
  {
    using own = new Handover(ring, nothing, nothing, (descriptor) => closed.push(descriptor));
    using other = new Handover(
      ring,
      nothing,
      (each) => finished.push(each),
      (descriptor) => closed.push(descriptor),
    );
    const [piece] = readRing(ring, nothing);
    const bytes = piece?.bytes.subarray(0, 10) as Bytes;
    const offers = Array.from(
      { length: 100 },
      (_, descriptor) => own.offer({ descriptor, bytes, seconds: 1, nanoseconds: 0 }),
    );
    assertEquals(offers.filter((isTaken) => isTaken).length, 64, "it has no more room than that");
    assertEquals(other.finishOne(), true);
    assertEquals(
      own.offer({ descriptor: 7, bytes: new Uint8Array(1), seconds: 0, nanoseconds: 0 }),
      false,
    );
  }
  assertEquals(finished.map(({ descriptor }) => descriptor), [0]);
  assertEquals(closed, Array.from({ length: 63 }, (_, index) => index + 1));
});

/** Small files with contents of their own, which no compression makes fewer: more than 4 MiB. */
function smallFiles(): Bytes {
  let state = 1;
  const content = (size: number): Bytes =>
    Uint8Array.from({ length: size }, () => {
      state = Math.imul(state, 1_103_515_245) + 12_345 | 0;
      return state >>> 16;
    });
  return rawArchive(
    ...Array.from(
      { length: 5000 },
      (_, index) => rawMember({ name: `d${index % 7}/f${index}`, content: content(index % 2000) }),
    ),
  );
}

for (const compression of ["none", "gzip"] as const) {
  Deno.test(`handover, ${compression}: small files that two threads write are all there, as in the archive`, async () => {
    using place = new Place();
    using alone = new Place();
    const tar = smallFiles();
    await using pool = new WorkerPool(applier, 2);
    await pool.applyLayer(await place.request(tar, { compression }), quiet);
    await alone.apply(tar, { compression });
    assertEquals(place.list(), alone.list());
    for (const index of [0, 1, 299, 4711, 4999]) {
      const name = `d${index % 7}/f${index}`;
      const [one, two] = [place.stat(name), alone.stat(name)];
      assertEquals([one.size, one.mode, one.mtime], [two.size, two.mode, two.mtime]);
    }
  });
}

Deno.test("handover: a file system that is full fails the layer by a file's name, and leaves nothing open", async () => {
  if (Deno.uid() !== 0) throw new Error("a file system of a given size can be made by root only");
  using place = new Place();
  const open = (): string[] =>
    [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
      } catch {
        return [];
      }
    }).filter((path) => path.startsWith(place.root));
  await run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", place.root]);
  try {
    await using pool = new WorkerPool(applier, 2);
    const request = await place.request(smallFiles());
    const error = await assertRejects(() => pool.applyLayer(request, quiet), EnrootError);
    assertEquals(error.code, "ENOSPC", error.message);
    assert(error.message.includes(place.root) || error.message.includes("'d"), error.message);
    assertEquals(open(), []);
  } finally {
    await run(["umount", place.root]);
  }
});
