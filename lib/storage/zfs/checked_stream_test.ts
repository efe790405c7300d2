import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { checkedStream } from "./checked_stream.ts";

function stream(): Uint8Array {
  const bytes = new Uint8Array(1000).map((_, at) => at);
  bytes.fill(0, 0, 312);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, 0x2f5bacbacn, true);
  view.setBigUint64(16, 1n, true);
  view.setUint32(32, 2, true);
  view.setBigUint64(40, 7n, true);
  return bytes;
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

for (const size of [1, 100, 312, 400, 5000]) {
  Deno.test(`a stream in pieces of ${size} comes out as it is`, async () => {
    const found = await Array.fromAsync(
      checkedStream(pieces(stream(), size), { mayBePackage: false, guid: "7" }),
    );
    assertEquals(found.flatMap((piece) => [...piece]), [...stream()]);
  });
}

Deno.test("nothing of a stream comes out that is not the one expected", async () => {
  for (
    const [bytes, why] of [
      [stream(), "another snapshot"],
      [stream().subarray(0, 300), "cut off"],
      [new Uint8Array(), "cut off"],
      [new TextEncoder().encode("#!/bin/sh\n".repeat(100)), "does not begin as one"],
    ] as const
  ) {
    const found: Uint8Array[] = [];
    const error = await assertRejects(
      async () => {
        const checked = checkedStream(pieces(bytes, 64), { mayBePackage: false, guid: "8" });
        for await (const piece of checked) found.push(piece);
      },
      EnrootError,
      why,
    );
    assertEquals([error.code, found.length], ["bad-stream", 0]);
  }
});
