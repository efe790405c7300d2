import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { ArrivalWriter, arrivedBeyond, createArrival } from "./arrival.ts";
import { readRegion } from "./file_region.ts";

const never = (): void => {};

Deno.test("what has arrived is there at once, and all of it when it is whole", () => {
  const arrival = createArrival();
  const writer = new ArrivalWriter(arrival);
  writer.grow(10);
  assertEquals(arrivedBeyond(arrival, 0, never), 10);
  assertEquals(arrivedBeyond(arrival, 9, never), 10);
  writer.finish();
  assertEquals(arrivedBeyond(arrival, 10, never), Infinity);
  // What comes after the end changes nothing.
  writer.fail();
  assertEquals(arrivedBeyond(arrival, 10, never), Infinity);
});

Deno.test("an arrival that failed fails its readers, also of what is there", () => {
  const arrival = createArrival();
  const writer = new ArrivalWriter(arrival);
  writer.grow(10);
  writer.fail();
  assertThrows(() => arrivedBeyond(arrival, 5, never), EnrootError, "broke off after 5 bytes");
});

Deno.test("a reader that waits is asked whether it should", () => {
  let asked = 0;
  const stop = (): void => {
    if (++asked === 3) throw new EnrootError("cancelled", "no more");
  };
  assertThrows(() => arrivedBeyond(createArrival(), 0, stop), EnrootError, "no more");
});

Deno.test("a file is read while another thread writes it, to its end", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/file`;
    await Deno.writeFile(path, new Uint8Array(0));
    const arrival = createArrival();
    const worker = new Worker(new URL("./arrival_test_reader.ts", import.meta.url), {
      type: "module",
    });
    const { promise, resolve } = Promise.withResolvers<{ sum: number; pieces: number }>();
    worker.onmessage = ({ data }) => resolve(data);
    const size = 300_000;
    worker.postMessage({ path, offset: 0, size, arrival });
    const writer = new ArrivalWriter(arrival);
    using file = await Deno.open(path, { write: true });
    let sum = 0;
    for (let at = 0; at < size; at += 1000) {
      const bytes = new Uint8Array(1000).fill(at / 1000 % 256);
      file.writeSync(bytes);
      sum += bytes.reduce((total, byte) => total + byte, 0);
      writer.grow(at + 1000);
      if (at % 50_000 === 0) await new Promise((wake) => setTimeout(wake, 20));
    }
    writer.finish();
    const read = await promise;
    worker.terminate();
    assertEquals(read.sum, sum);
    // More than one piece: it was read while it grew.
    assertEquals(read.pieces > 2, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is shorter than what is said to be there is truncated", async () => {
  const path = await Deno.makeTempFile();
  try {
    const arrival = createArrival();
    new ArrivalWriter(arrival).grow(10);
    const read = async (): Promise<void> => {
      for await (const _ of readRegion({ path, offset: 0, size: 10, arrival }, "it")) break;
    };
    let message = "";
    await read().catch((error) => message = error.message);
    assertEquals(message, "it is truncated: 10 bytes are missing");
  } finally {
    await Deno.remove(path);
  }
});
