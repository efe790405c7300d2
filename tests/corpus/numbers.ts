/**
 * Numbers of headers: every notation, out of range, and none at all.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import { bytes, type Case, file, folder, gives, join, pax, refused, tar } from "./corpus.ts";

/** A field of 12 bytes in base 256. */
function base256(value: bigint): Uint8Array<ArrayBuffer> {
  const field = new Uint8Array(12);
  let rest = BigInt.asUintN(96, value);
  for (let at = 11; at >= 0; at--) {
    field[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  field[0] = (field[0] ?? 0) | 0x80;
  return field;
}

/** A field of 8 bytes in base 256. */
const shortBase256 = (value: bigint): Uint8Array<ArrayBuffer> =>
  join(bytes(value < 0n ? 0xff : 0x80), base256(value).subarray(5));

const mode = (text: string): Uint8Array =>
  rawMember({ name: "a", content: "1", patches: [[100, text]] });

const anyOwner =
  "Gives any number to chown(2), which drops what is beyond 32 bits and takes -1 to " +
  "mean that the owner stays as it is.";

/** The cases. */
export const numbers: readonly Case[] = [
  gives(
    "has a size in base 256",
    [tar(rawMember({ name: "a", content: "1", size: base256(1n) }))],
    [
      "f 644 a 1",
    ],
  ),
  refused(
    "has a negative size",
    [tar(rawMember({ name: "a", size: base256(-1n) }))],
    "size of 'a'",
  ),
  refused(
    "has a size of 2^53 bytes",
    [tar(rawMember({ name: "a", size: base256(1n << 53n) }))],
    "a",
  ),
  refused(
    "has a size of 2^63 bytes",
    [tar(rawMember({ name: "a", size: base256(1n << 63n) }))],
    "a",
  ),
  refused(
    "has a size of 2^94 bytes",
    [tar(rawMember({ name: "a", size: base256(1n << 94n) }))],
    "a",
  ),
  refused("has a size of 8 GiB and one byte of it", [
    tar(rawMember({ name: "a", content: "1", size: "77777777777\0" })),
  ], "ends in the middle of 'a'"),
  refused(
    "has a size that is no number",
    [tar(rawMember({ name: "a", size: "0x5" }))],
    "size of 'a'",
  ),
  refused("has a size with a sign", [tar(rawMember({ name: "a", size: "-1" }))], "size of 'a'"),
  refused("has a decimal size", [tar(rawMember({ name: "a", size: "9" }))], "size of 'a'"),
  gives("has an empty size", [tar(rawMember({ name: "a", size: "\0".repeat(12) }))], ["f 644 a"]),
  gives("has numbers between spaces", [tar(mode(" 600  \0 "))], ["f 600 a 1"]),
  gives("has numbers behind a NUL", [tar(mode("\x00600\0"))], ["f 600 a 1"]),
  gives("has numbers that fill their fields", [
    tar(rawMember({ name: "a", content: "1", size: "000000000001", patches: [[100, "00000600"]] })),
  ], ["f 600 a 1"]),
  refused("has a number with a space in it", [tar(mode("06 00\0"))], "mode of 'a'"),
  gives("has the type of the file in its mode", [tar(mode("0100755\0"))], ["f 755 a 1"]),
  gives("has set-id and sticky bits", [
    tar(mode("0006755\0"), folder("d", 0o3777)),
  ], ["f 6755 a 1", "d 3777 d"]),
  gives("has no permissions at all", [tar(mode("0000000\0"), folder("d", 0), file("d/a", "2"))], [
    ...["f 0 a 1", "d 0 d", "f 644 d/a 2"],
  ]),
  gives("has a time before 1970", [
    tar(rawMember({ name: "a", patches: [[136, base256(-86_400n)]] })),
  ], ["f 644 a @-86400"]),
  gives("has a time after 2038", [
    tar(rawMember({ name: "a", patches: [[136, base256(1n << 32n)]] })),
  ], ["f 644 a @4294967296"]),
  gives("has no time", [tar(rawMember({ name: "a", mtime: 0 }))], ["f 644 a @0"]),
  // Before 1970 find(1) shows the second before and the fraction after it.
  gives("has times of pax, with every kind of fraction", [
    tar(
      ...[pax([["mtime", "12.5"]]), file("a")],
      ...[pax([["mtime", "12."]]), file("b")],
      ...[pax([["mtime", "-12.25"]]), file("c")],
      ...[pax([["mtime", "12.1234567899"]]), file("d")],
      ...[pax([["mtime", "-0.5"]]), file("e")],
    ),
  ], [
    "f 644 a @12.5",
    "f 644 b @12",
    "f 644 c @-13.75",
    "f 644 d @12.123456789",
    "f 644 e @-1.5",
  ]),
  refused("has a time of pax that is none", [tar(pax([["mtime", "soon"]]), file("a"))], "mtime"),
  refused(
    "has a time of pax with two points",
    [tar(pax([["mtime", "1.2.3"]]), file("a"))],
    "mtime",
  ),
  gives("has owners in octal, base 256 and pax", [
    tar(
      rawMember({ name: "a", patches: [[108, "0001750\0"], [116, "0001751\0"]] }),
      rawMember({
        name: "b",
        patches: [[108, shortBase256(4_000_000_000n)], [116, shortBase256(3n)]],
      }),
      ...[pax([["uid", "100000"], ["gid", "100001"]]), file("c")],
    ),
  ], ["f 644 a 1000:1001", "f 644 b 4000000000:3", "f 644 c 100000:100001"]),
  refused(
    "has a negative owner",
    [
      tar(rawMember({ name: "a", patches: [[108, shortBase256(-2n)]] })),
    ],
    "uid of 'a'",
    anyOwner,
  ),
  refused(
    "has an owner beyond 32 bits",
    [
      tar(rawMember({ name: "a", patches: [[108, shortBase256(1n << 32n)]] })),
    ],
    "owner of 'a'",
    anyOwner,
  ),
  refused("has an owner of pax beyond all numbers", [
    tar(pax([["uid", "9".repeat(20)]]), file("a")),
  ], "uid"),
  refused("has a negative owner of pax", [tar(pax([["uid", "-1"]]), file("a"))], "uid", anyOwner),
  refused(
    "has a wrong checksum",
    [tar(rawMember({ name: "a", checksum: "0000000\0" }))],
    "checksum",
  ),
  refused("has a checksum that is no number", [
    tar(rawMember({ name: "a", checksum: "????????" })),
  ], "checksum"),
  gives("has a checksum of signed bytes", [tar(signed())], ["f 644 a\\xff"]),
  gives("has owners by name, which nobody here has", [
    tar(rawMember({ name: "a", patches: [[265, "nobody-here"], [297, "nor-here"]] })),
  ], ["f 644 a"]),
];

/** As some programs of old added up the bytes of a header. */
function signed(): Uint8Array {
  const name = bytes(0x61, 0xff);
  const header = rawMember({ name }).subarray(0, 512);
  const sum = header.reduce(
    (total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte > 127 ? byte - 256 : byte),
    0,
  );
  return rawMember({ name, checksum: `${sum.toString(8).padStart(6, "0")}\0 ` });
}
