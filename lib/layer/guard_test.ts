import { assert, assertEquals, assertRejects } from "@std/assert";
import { file, Place, symlink } from "../../tests/support/layer_place.ts";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import type { LayerLimits } from "../pool/protocol.ts";
import { applyLayer } from "./apply_layer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A file of one block of holes and nothing else, said to be so long. */
function sparse(name: string, size: number): Bytes[] {
  const records = { major: "1", minor: "0", name, realsize: `${size}` };
  return [
    rawPax(
      Object.fromEntries(
        Object.entries(records).map(([key, value]) => [`GNU.sparse.${key}`, value]),
      ),
    ),
    rawMember({ name: "GNUSparseFile.0/f", content: `0\n${"\0".repeat(510)}` }),
  ];
}

const limits: [name: string, limits: LayerLimits][] = [
  ["ENROOT_MAX_LAYER_SIZE", { maxSize: 1 << 20 }],
  ["ENROOT_MAX_INFLATE_RATIO", { maxInflateRatio: 100 }],
];
for (const [name, bounds] of limits) {
  Deno.test(`guard: the holes of sparse files count for ${name}`, async () => {
    using place = new Place();
    await assertRejects(
      () => place.apply(rawArchive(...sparse("f", 8 * 2 ** 40)), { limits: bounds }),
      EnrootError,
      name,
    );
    assertEquals(place.list(), []);
    const many = Array.from({ length: 100 }, (_, index) => sparse(`f${index}`, 1 << 20)).flat();
    await assertRejects(
      () => place.apply(rawArchive(...many), { limits: bounds }),
      EnrootError,
      name,
    );
    using other = new Place();
    await other.apply(rawArchive(...sparse("f", 900_000)), { limits: bounds });
    assertEquals(other.stat("f").size, 900_000);
  });
}

/** Apply a layer, and cancel it from another thread after a while. @returns how long it took then */
async function timeToStop(place: Place, tar: Bytes, wait: number): Promise<number> {
  const request = await place.request(tar, { compression: "gzip" });
  const cancelled = new SharedArrayBuffer(4);
  const clock = new SharedArrayBuffer(8);
  const body = `self.onmessage = ({ data: [word, clock, wait] }) => {
    Atomics.wait(new Int32Array(word), 0, 0, wait);
    new Float64Array(clock)[0] = Date.now();
    Atomics.store(new Int32Array(word), 0, 1);
  }; self.postMessage("ready");`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(body)}`, { type: "module" });
  try {
    await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
    worker.postMessage([cancelled, clock, wait]);
    const error = await assertRejects(
      () => applyLayer({ id: 0, cancelled, ...request }, () => {}),
      EnrootError,
    );
    assertEquals(error.code, "cancelled");
    return Date.now() - (new Float64Array(clock)[0] ?? 0);
  } finally {
    worker.terminate();
  }
}

Deno.test("guard: a layer whose entries are all in one stored piece is cancelled between them", async () => {
  using place = new Place();
  const once = rawArchive(
    ...Array.from({ length: 500 }, (_, index) => [
      ...[file(`d/${index}/f`), symlink(`d/${index}/l`, "x")],
    ]).flat(),
  ).subarray(0, -1024);
  const tar = rawArchive(...Array.from({ length: 150 }, () => once));
  const took = await timeToStop(place, tar, 300);
  assert(took < 1000, `it took ${took} ms`);
});

Deno.test("guard: a layer that removes a large tree is cancelled while it does", async () => {
  using place = new Place();
  const names = Array.from({ length: 20_000 }, (_, index) => file(`d/${index % 100}/${index}`));
  await place.layers(names);
  const took = await timeToStop(place, rawArchive(file(".wh.d")), 30);
  assert(took < 1000, `it took ${took} ms`);
  assert(place.list().length > 1000, "it was removed before it could be cancelled");
});
