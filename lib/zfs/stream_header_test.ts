import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import {
  assertExpected,
  type Expectation,
  isStreamStart,
  parseStreamHeader,
  type StreamHeader,
} from "./stream_header.ts";

interface Begin {
  readonly isLittle?: boolean;
  readonly hdrType?: bigint;
  readonly features?: bigint;
  readonly content?: number;
  readonly to?: bigint;
  readonly from?: bigint;
  readonly name?: string;
  readonly payload?: number;
}

/** A BEGIN record in the layout of OpenZFS's `sys/zfs_ioctl.h`. */
function begin(options: Begin = {}): Uint8Array {
  const { isLittle = true, hdrType = 1n, features = 0n, content = 2, payload = 0 } = options;
  const bytes = new Uint8Array(312);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, payload, isLittle);
  view.setBigUint64(8, 0x2f5bacbacn, isLittle);
  view.setBigUint64(16, hdrType | features << 2n, isLittle);
  view.setUint32(32, content, isLittle);
  view.setBigUint64(40, options.to ?? 7n, isLittle);
  view.setBigUint64(48, options.from ?? 0n, isLittle);
  bytes.set(new TextEncoder().encode(options.name ?? "tank/a@s"), 56);
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function header(bytes: Uint8Array): StreamHeader {
  const found = parseStreamHeader(bytes);
  assert(!("needs" in found), `needs ${"needs" in found ? found.needs : ""}`);
  return found;
}

const end = new Uint8Array(312).fill(5, 0, 1);

for (const isLittle of [true, false]) {
  Deno.test(`a stream's beginning is read, ${isLittle ? "little" : "big"}-endian`, () => {
    const { isPackage, content, guid, from, name, features } = header(
      begin({ isLittle, to: 0xfedcba9876543210n, from: 5n, features: 1n << 22n }),
    );
    assertEquals([isPackage, content, guid, from], [
      false,
      "filesystem",
      String(0xfedcba9876543210n),
      "5",
    ]);
    assertEquals([name, features], ["tank/a@s", []]);
  });
}

Deno.test("of a package the stream within counts", () => {
  const bytes = join(
    begin({ hdrType: 2n, content: 0, to: 0n, payload: 40 }),
    new Uint8Array(40),
    end,
    begin({ to: 9n }),
  );
  assertEquals(parseStreamHeader(bytes.subarray(0, 100)), { needs: 312 });
  assertEquals(parseStreamHeader(bytes.subarray(0, 400)), { needs: 312 * 3 + 40 });
  const { isPackage, guid, from } = header(bytes);
  assertEquals([isPackage, guid, from], [true, "9", undefined]);
});

Deno.test("what is no stream is refused, whatever it is", () => {
  const noise = new Uint8Array(1000).map((_, index) => index * 7);
  const bad = [
    ["noise", noise],
    ["zeros", new Uint8Array(312)],
    ["a huge payload", begin({ hdrType: 2n, payload: 0xffffffff })],
    ["a package in a package", join(begin({ hdrType: 2n }), end, begin({ hdrType: 2n }))],
    ["a package of noise", join(begin({ hdrType: 2n }), end, noise)],
  ] as const;
  for (const [what, bytes] of bad) {
    const error = assertThrows(() => parseStreamHeader(bytes), EnrootError, undefined, what);
    assertEquals(error.code, "bad-stream", what);
  }
});

Deno.test("sixteen bytes tell a stream", () => {
  assert(isStreamStart(begin().subarray(0, 16)));
  assert(isStreamStart(begin({ isLittle: false }).subarray(0, 16)));
  assert(!isStreamStart(begin().subarray(0, 15)));
  assert(!isStreamStart(new Uint8Array()));
  assert(!isStreamStart(new TextEncoder().encode("hsqs............")));
});

const whole: Expectation = { mayBePackage: true };
const cases: readonly (readonly [string, Begin, Expectation, string | undefined])[] = [
  ["a whole file system", {}, whole, undefined],
  ["the announced one", {}, { mayBePackage: false, guid: "7" }, undefined],
  ["another one", {}, { mayBePackage: false, guid: "8" }, "of another snapshot"],
  ["a volume", { content: 3 }, whole, "no file system"],
  ["a raw one", { features: 1n << 24n }, whole, "raw"],
  ["a redacted one", { features: 1n << 21n }, whole, "redacted"],
  ["a difference", { from: 5n }, whole, "send the whole"],
  ["the difference to what is there", { from: 5n }, { mayBePackage: false, from: "5" }, undefined],
  ["the difference to another", { from: 6n }, { mayBePackage: false, from: "5" }, "to another"],
  ["a whole one for a difference", {}, { mayBePackage: false, from: "5" }, "to another"],
];
for (const [what, stream, expected, refusal] of cases) {
  Deno.test(`${what} is ${refusal === undefined ? "accepted" : `refused: ${refusal}`}`, () => {
    const check = (): void => assertExpected(header(begin(stream)), expected);
    if (refusal === undefined) check();
    else assertThrows(check, EnrootError, refusal);
  });
}

Deno.test("a package is refused where properties may not come along", () => {
  const found = header(join(begin({ hdrType: 2n }), end, begin()));
  assertThrows(() => assertExpected(found, { mayBePackage: false }), EnrootError, "properties");
});
