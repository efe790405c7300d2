import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { runForBytes } from "../../tests/support/command.ts";
import type { LayerCompression } from "../oci/media_type.ts";
import { CompressionError } from "./compression_error.ts";
import { inflate, sniffCompression } from "./inflate.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const bytes = (...values: number[]): Bytes => new Uint8Array(values);
const text = (value: string): Bytes => new TextEncoder().encode(value);
const gzip = (value: Bytes): Bytes => new Uint8Array(gzipSync(value));
const zstd = (value: Bytes): Bytes => new Uint8Array(zstdCompressSync(value));

function cat(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The same bytes but for one, counted from the end. */
function spoiled(value: Bytes, fromEnd: number): Bytes {
  const copy = value.slice();
  const at = copy.length - fromEnd;
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

async function* pieces(stored: Bytes, size: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < stored.length; at += size) yield stored.subarray(at, at + size);
}

async function inflated(
  stored: Bytes,
  compression: LayerCompression,
  piece = Math.max(1, stored.length),
): Promise<Bytes> {
  const parts: Bytes[] = [];
  const take = (part: Bytes): void => void parts.push(part.slice());
  await inflate(pieces(stored, piece), compression, take, "layer 1");
  return cat(...parts);
}

/** Content that compresses, but not to nothing: runs of random bytes. The same each time. */
function sample(size: number): Bytes {
  const content = new Uint8Array(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    if (at % 3 === 0) state = Math.imul(state, 1_103_515_245) + 12_345 | 0;
    content[at] = state >> 16;
  }
  return content;
}

const small = text("a small file");
const large = sample(3_000_000);

/** A frame for readers other than those of zstd. */
const skippable = (size: number, variant = 0): Bytes =>
  cat(bytes(0x50 | variant, 0x2a, 0x4d, 0x18, size & 0xff, size >> 8, 0, 0), new Uint8Array(size));

/** A gzip header with everything that one can have. */
const fullHeader = ((): Bytes => {
  const header = cat(
    bytes(0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3),
    bytes(4, 0, 0x53, 0x47, 0, 0),
    text("name\0comment\0"),
  );
  const crc = new DataView(gzip(header).slice(-8).buffer).getUint16(0, true);
  return cat(header, bytes(crc & 0xff, crc >> 8));
})();

/** An empty frame with the checksum of nothing. */
const checkedEmpty = bytes(0x28, 0xb5, 0x2f, 0xfd, 4, 0, 1, 0, 0, 0x99, 0xe9, 0xd8, 0x51);

const read: [what: string, stored: Bytes, expected: Bytes][] = [
  ["a gzip member", gzip(large), large],
  ["an empty gzip member", gzip(bytes()), bytes()],
  ["gzip members one after the other", cat(gzip(small), gzip(large), gzip(bytes()), gzip(small)), [
    ...[small, large, small],
  ]],
  ["gzip, then zeroes", cat(gzip(large), new Uint8Array(700)), large],
  ["gzip, then bytes of any kind", cat(gzip(small), text("any kind".repeat(1000))), small],
  ["gzip, then one byte that a member could begin with", cat(gzip(small), bytes(0x1f)), small],
  [
    "gzip, then zeroes, then what would be a member",
    cat(gzip(small), bytes(0), gzip(small)),
    small,
  ],
  ["a gzip header with all its fields", cat(fullHeader, gzip(large).subarray(10)), large],
  ["a zstd frame", zstd(large), large],
  ["an empty zstd frame", zstd(bytes()), bytes()],
  ["an empty zstd frame with a checksum", checkedEmpty, bytes()],
  ["zstd frames one after the other", cat(zstd(small), zstd(large), zstd(bytes()), zstd(small)), [
    ...[small, large, small],
  ]],
  [
    "skippable frames around and between",
    cat(
      ...[skippable(10), zstd(large), skippable(0, 15), skippable(700), zstd(small), skippable(9)],
    ),
    [large, small],
  ],
  ["nothing but a skippable frame", skippable(20), bytes()],
].map(([what, stored, expected]) => [
  what as string,
  stored as Bytes,
  Array.isArray(expected) ? cat(...expected as Bytes[]) : expected as Bytes,
]);
for (const [what, stored, expected] of read) {
  Deno.test(`${what} is inflated, in pieces of any size`, async () => {
    const compression = sniffCompression(stored);
    for (const piece of [stored.length, 65_536, 4093, ...(stored.length < 10_000 ? [1, 7] : [])]) {
      assertEquals(await inflated(stored, compression, piece), expected, `pieces of ${piece}`);
    }
  });
}

const programs: [argv: string[], compression: LayerCompression][] = [
  [["gzip", "-1"], "gzip"],
  [["pigz", "-p2", "-b128"], "gzip"],
  [["pigz", "-i", "-p2"], "gzip"],
  [["zstd", "-q", "-1"], "zstd"],
  [["zstd", "-q", "-19", "--long=27", "--no-check"], "zstd"],
  [["zstd", "-q", "-T2", "-B1MiB"], "zstd"],
  [["pzstd", "-q", "-p2", "-1"], "zstd"],
];
for (const [argv, compression] of programs) {
  Deno.test(`what ${argv.join(" ")} compressed is inflated`, async () => {
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeFile(file, cat(large, large, large));
      const stored = await runForBytes([...argv, "-c", file]);
      const hash = createHash("sha256").update(await inflated(stored, compression, 262_144));
      const expected = createHash("sha256").update(large).update(large).update(large);
      assertEquals(hash.digest("hex"), expected.digest("hex"));
    } finally {
      await Deno.remove(file);
    }
  });
}

const checked = await (async (): Promise<Bytes> => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, large);
    return await runForBytes(["zstd", "-q", "-1", "--check", "-c", file]);
  } finally {
    await Deno.remove(file);
  }
})();
const truncated = "it is truncated";
const wrong = "it is damaged";
const refused: [what: string, stored: Bytes, why: string][] = [
  ["a gzip member without its last byte", gzip(small).slice(0, -1), truncated],
  ["a gzip member without its trailer", gzip(large).slice(0, -8), truncated],
  ["a gzip member cut in its data", gzip(large).slice(0, 100_000), truncated],
  ["a second gzip member cut in its header", cat(gzip(small), gzip(small).slice(0, 6)), truncated],
  ["a gzip header cut in a name", cat(fullHeader.slice(0, 19)), truncated],
  ["a gzip member with a wrong CRC", spoiled(gzip(small), 8), "checksum (CRC-32) is wrong"],
  ["a large gzip member with a wrong CRC", spoiled(gzip(large), 5), "checksum (CRC-32) is wrong"],
  ["a gzip member with a wrong length", spoiled(gzip(small), 1), "its length"],
  ["a gzip member with damaged data", spoiled(gzip(large), 1_000_000), wrong],
  ["a gzip method that does not exist", cat(bytes(0x1f, 0x8b, 7), gzip(small).slice(3)), "header"],
  ["gzip flags that do not exist", cat(bytes(0x1f, 0x8b, 8, 0x80), gzip(small).slice(4)), "header"],
  ["a gzip header with a wrong checksum", cat(spoiled(fullHeader, 1), gzip(small)), "header"],
  [
    "a gzip name that does not end",
    cat(bytes(0x1f, 0x8b, 8, 8), new Uint8Array(300_000).fill(65)),
    "does not end",
  ],
  ["a zstd frame without its last byte", zstd(small).slice(0, -1), truncated],
  ["a zstd frame cut in its header", zstd(small).slice(0, 5), truncated],
  [
    "a zstd frame cut between blocks",
    cat(bytes(0x28, 0xb5, 0x2f, 0xfd, 0, 0), bytes(0, 0, 0)),
    truncated,
  ],
  ["a zstd frame cut in a block", zstd(large).slice(0, 1_000_000), truncated],
  ["a zstd frame cut in its checksum", checked.slice(0, -1), truncated],
  ["a second zstd frame cut", cat(zstd(large), zstd(small).slice(0, -3)), truncated],
  ["a second zstd frame cut in its magic", cat(zstd(small), bytes(0x28, 0xb5)), truncated],
  ["a skippable frame cut", cat(zstd(small), skippable(50).slice(0, -1)), truncated],
  ["a skippable frame cut in its size", cat(zstd(small), skippable(50).slice(0, 6)), truncated],
  ["a zstd frame with a wrong checksum", spoiled(checked, 1), "checksum"],
  ["a small zstd frame with a wrong checksum", spoiled(checkedEmpty, 1), "checksum"],
  ["a zstd frame with damaged data", spoiled(checked, 500_000), wrong],
  ["zstd, then bytes of any kind", cat(zstd(small), text("any kind")), "no zstd"],
  ["zstd, then zeroes", cat(zstd(small), new Uint8Array(100)), "no zstd"],
  [
    "a zstd block of a kind that does not exist",
    cat(
      bytes(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 7, 0, 0),
    ),
    "block",
  ],
  ["a zstd block of 2 MiB", bytes(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0xff - 4, 0xff, 0xff), "block"],
  ["a zstd window of 256 MiB", bytes(0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0), "window"],
  [
    "zstd content of 2^63 bytes in one segment",
    cat(
      bytes(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0),
    ),
    "window",
  ],
  ["a zstd frame with the reserved bit", bytes(0x28, 0xb5, 0x2f, 0xfd, 8, 0, 1, 0, 0), "header"],
];
for (const [what, stored, why] of refused) {
  Deno.test(`${what} is refused: ${why}`, async () => {
    const compression = sniffCompression(stored);
    for (const piece of [stored.length, 4093, ...(stored.length < 1000 ? [1, 7] : [])]) {
      const error = await assertRejects(
        () => inflated(stored, compression, piece),
        CompressionError,
        why,
        `pieces of ${piece}`,
      );
      assertStringIncludes(error.message, "layer 1 cannot be inflated: ");
      assertEquals([error.code, error.message.includes("\n")], ["bad-compression", false]);
    }
  });
}

Deno.test("damage anywhere in zstd is an error or other content, never an uncaught one", async () => {
  // Large enough for several of the inflater's output buffers, so that each is met half-full.
  for (let at = 20; at < checked.length; at += 49_999) {
    await assertRejects(
      () => inflated(spoiled(checked, checked.length - at), "zstd"),
      CompressionError,
    );
  }
});

Deno.test("bytes are compared with what they are said to be", async () => {
  const kinds: [stored: Bytes, is: string, said: LayerCompression, name: string][] = [
    [gzip(small), "gzip", "none", "plain"],
    [gzip(small), "gzip", "zstd", "zstd"],
    [zstd(small), "zstd", "gzip", "gzip"],
    [skippable(3), "zstd", "none", "plain"],
    [small, "plain", "gzip", "gzip"],
  ];
  for (const [stored, is, said, name] of kinds) {
    const message = `layer 1 is said to be ${name}, but its bytes are ${is}`;
    for (const piece of [stored.length, 1]) {
      await assertRejects(() => inflated(stored, said, piece), CompressionError, message);
    }
  }
  for (const said of ["gzip", "zstd"] as const) {
    await assertRejects(() => inflated(bytes(), said), CompressionError, "there are no bytes");
  }
  assertEquals(await inflated(bytes(), "none"), bytes());
  assertEquals(await inflated(small, "none", 5), small);
});

Deno.test("what the taker throws ends the inflating at once, and the source", async () => {
  // 4 KiB that inflate to 128 MiB: blocks of one repeated byte.
  const run = (isLast: boolean): Bytes => bytes(2 | Number(isLast), 0, 16, 0);
  const bomb = cat(
    bytes(0x28, 0xb5, 0x2f, 0xfd, 0, 0x58),
    ...Array.from({ length: 1023 }, () => run(false)),
    run(true),
  );
  const bombs: [LayerCompression, Bytes][] = [
    ["zstd", bomb],
    ["gzip", gzip(new Uint8Array(128 << 20))],
    ["none", new Uint8Array(8 << 20)],
  ];
  for (const [compression, stored] of bombs) {
    let isEnded = false;
    let taken = 0;
    const source = async function* (): AsyncGenerator<Bytes> {
      try {
        yield* pieces(stored, 1 << 20);
      } finally {
        isEnded = true;
      }
    };
    const enough = new Error("enough");
    const error = await assertRejects(() =>
      inflate(source(), compression, ({ length }) => {
        taken += length;
        if (taken > 2_000_000) throw enough;
      }, "layer 1")
    );
    assert(error === enough);
    assert(isEnded && taken < 4_000_000, `${compression}: ${taken} bytes were taken`);
  }
});

Deno.test("what the source throws is what the reader gets", async () => {
  for (const compression of ["gzip", "zstd", "none"] as const) {
    const stored = { gzip, zstd, none: (value: Bytes) => value }[compression](large);
    const gone = new Error("gone");
    const source = async function* (): AsyncGenerator<Bytes> {
      yield stored.subarray(0, stored.length >> 1);
      throw gone;
    };
    const error = await assertRejects(() => inflate(source(), compression, () => {}, "layer 1"));
    assert(error === gone);
  }
});

Deno.test("20,000 small members, and as many small frames, take no more than seconds", async () => {
  const files = Array.from({ length: 20_000 }, (_, index) => text(`file ${index}`));
  for (const [compression, compress] of [["gzip", gzip], ["zstd", zstd]] as const) {
    const stored = cat(...files.map(compress));
    const start = performance.now();
    assertEquals(await inflated(stored, compression, 262_144), cat(...files));
    assert(performance.now() - start < 15_000);
  }
});
