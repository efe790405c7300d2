/**
 * Sparse files: the four formats, and maps that lie.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import { type Bytes, bytes, type Case, file, gives, join, pax, refused, tar } from "./corpus.ts";

type Records = [string, string][];

const map = (text: string, size: string): Records => [
  ["GNU.sparse.map", text],
  ["GNU.sparse.size", size],
  ["GNU.sparse.numblocks", `${text === "" ? 0 : Math.ceil(text.split(",").length / 2)}`],
];
/** A file in the format 0.1. */
const v01 = (text: string, size: string, content: string): Bytes =>
  tar(pax(map(text, size)), file("a", content));
/** A file in the format 1.0: the map is at the head of the content. */
const v10 = (lines: string, size: string, content = "", pad = 512): Bytes => {
  const head = join(lines, new Uint8Array(Math.max(0, pad - lines.length)));
  const records: Records = [
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", "a"],
    ["GNU.sparse.realsize", size],
  ];
  return tar(pax(records), file("GNUSparseFile.0/a", join(head, content)));
};
const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
const extents = (...numbers: number[]): string => numbers.map(octal).join("");
/** A file in the format of old GNU tar. */
const old = (
  parts: string,
  realSize: string,
  content: string | Uint8Array,
  { extended = 0, magic = "ustar  \0" } = {},
): Bytes =>
  rawMember({
    name: "a",
    type: "S",
    magic,
    content,
    patches: [[386, parts], [482, bytes(extended)], [483, realSize]],
  });
/** A block that continues the map of old GNU tar. */
const more = (parts: string, extended = 0): Uint8Array => {
  const block = new Uint8Array(512);
  block.set(new TextEncoder().encode(parts));
  block[504] = extended;
  return block;
};
/** An old header, blocks that continue it, and the content they speak of. */
const continued = (blocks: readonly Uint8Array[], content: string): Bytes => {
  const member = old(extents(0, 1), octal(9), content, { extended: 1 });
  return tar(member.subarray(0, 512), ...blocks, member.subarray(512));
};
const noOld = "Refuses the type, though Go's reader reads it.";
const nonsense = "makes no sense";
const unfit = "does not fit";
const malformed = "malformed";

/** The cases. */
export const sparse: readonly Case[] = [
  gives("has a sparse file of the format 0.0", [
    tar(
      pax([
        ...[["GNU.sparse.size", "8"], ["GNU.sparse.numblocks", "2"]] as Records,
        ...[["GNU.sparse.offset", "1"], ["GNU.sparse.numbytes", "2"]] as Records,
        ...[["GNU.sparse.offset", "6"], ["GNU.sparse.numbytes", "1"]] as Records,
      ]),
      file("a", "xyz"),
    ),
  ], ["f 644 a \\x00xy\\x00\\x00\\x00z\\x00"]),
  gives("has a sparse file of the format 0.1", [v01("1,2,6,1", "8", "xyz")], [
    "f 644 a \\x00xy\\x00\\x00\\x00z\\x00",
  ]),
  gives("has a sparse file of the format 1.0", [v10("2\n1\n2\n6\n1\n", "8", "xyz")], [
    "f 644 a \\x00xy\\x00\\x00\\x00z\\x00",
  ]),
  gives("has a sparse file of old GNU tar", [tar(old(extents(1, 2, 6, 1), octal(8), "xyz"))], [
    "f 644 a \\x00xy\\x00\\x00\\x00z\\x00",
  ], noOld),
  gives(
    "has a sparse file of old GNU tar with more blocks of map",
    [
      continued([more(extents(2, 1), 1), more(extents(4, 1, 8, 1))], "wxyz"),
    ],
    ["f 644 a w\\x00x\\x00y\\x00\\x00\\x00z"],
    noOld,
  ),
  gives("has one hole and nothing else", [v01("", "5", "")], [
    "f 644 a \\x00\\x00\\x00\\x00\\x00",
  ], "Takes an empty map for none, and the file for an empty one."),
  gives("has one hole and nothing else, in the format 1.0", [v10("0\n", "5")], [
    "f 644 a \\x00\\x00\\x00\\x00\\x00",
  ]),
  gives("has a hole of 64 MiB", [v01("0,1", "67108864", "x")], ["f 644 a <67108864>"]),
  gives("has an empty part at the end, as GNU tar writes it", [v01("0,1,4,0", "4", "x")], [
    "f 644 a x\\x00\\x00\\x00",
  ]),
  gives("has a sparse file without holes", [v01("0,2,2,1", "3", "xyz")], ["f 644 a xyz"]),
  gives("has the map of one file, and then a whole file", [
    tar(pax(map("1,1", "2")), file("a", "x"), file("b", "y")),
  ], ["f 644 a \\x00x", "f 644 b y"]),
  refused("has a map with an odd count of numbers", [v01("0,1,2", "5", "x")], malformed),
  refused("has a map with an empty number", [v01("0,,2,1", "5", "x")], malformed),
  refused("has a map with a negative number", [v01("-1,1", "5", "x")], malformed),
  refused("has a map with a fraction", [v01("0.5,1", "5", "x")], malformed),
  refused("has a map with words", [v01("a,b", "5", "x")], malformed),
  refused("has a map with giant numbers", [v01(`0,${"9".repeat(30)}`, "5", "x")], malformed),
  refused("has parts that overlap", [v01("0,2,1,2", "9", "abcd")], nonsense),
  refused("has parts out of order", [v01("4,1,0,1", "9", "ab")], nonsense),
  refused("has a part beyond the end of the file", [v01("8,2", "9", "ab")], nonsense),
  refused("has one part that is as large as the content, and beyond the end", [
    v01("5,4", "4", "abcd"),
  ], nonsense),
  refused("has one part that is smaller than the content", [v01("0,2", "4", "abcd")], unfit),
  refused("has parts that are larger than the content", [v01("0,4", "9", "ab")], unfit),
  refused("has parts that wrap around", [v01("9007199254740990,2", "9", "ab")], nonsense),
  refused("has another count of parts than it says", [
    tar(
      pax([["GNU.sparse.map", "0,1"], ["GNU.sparse.size", "4"], ["GNU.sparse.numblocks", "2"]]),
      file("a", "x"),
    ),
  ], malformed),
  refused("has two offsets one after the other", [
    tar(
      pax([["GNU.sparse.size", "4"], ["GNU.sparse.offset", "0"], ["GNU.sparse.offset", "1"]]),
      file("a", "x"),
    ),
  ], malformed),
  refused("has a map that begins with a size", [
    tar(
      pax([["GNU.sparse.size", "4"], ["GNU.sparse.numbytes", "0"], ["GNU.sparse.offset", "1"]]),
      file("a", "x"),
    ),
  ], malformed),
  refused("has two numbers in one of a map", [
    tar(
      pax([["GNU.sparse.size", "4"], ["GNU.sparse.offset", "0,1,2"], ["GNU.sparse.numbytes", "1"]]),
      file("a", "x"),
    ),
  ], malformed),
  refused("has a sparse size that is no number", [v01("0,1", "big", "x")], "GNU.sparse.size"),
  refused("has a sparse folder", [
    tar(pax(map("0,1", "4")), rawMember({ name: "a", type: "5" })),
  ], "sparse, but no file"),
  refused(
    "is sparse in a format 2.0",
    [
      tar(pax([["GNU.sparse.major", "2"], ["GNU.sparse.minor", "0"]]), file("a", "x")),
    ],
    "not known",
    "Takes the stored bytes for the file: they are not.",
  ),
  refused("has a map of the format 1.0 that is no number", [v10("x\n", "4")], malformed),
  refused("has a map of the format 1.0 without line ends", [
    v10("1".repeat(2000), "4", "", 2048),
  ], malformed),
  refused(
    "has a map of the format 1.0 that does not end",
    [v10(`200\n${"0\n".repeat(254)}`, "4")],
    "does not end",
  ),
  refused("has a map of the format 1.0 with a giant count", [
    v10("9999999999\n0\n1\n", "4"),
  ], "too many holes"),
  refused("has a map of the format 1.0 in a file without content", [
    tar(pax([["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"]]), file("a", "")),
  ], "does not end"),
  refused("has parts of the format 1.0 that are larger than the content", [
    v10("1\n0\n9\n", "20", "ab"),
  ], unfit),
  refused("has a sparse file of old GNU tar in an archive of ustar", [
    tar(old(extents(0, 1), octal(4), "x", { magic: "ustar\0" + "00" })),
  ], "not known"),
  refused("has parts of old GNU tar that overlap", [
    tar(old(extents(0, 2, 1, 1), octal(8), "xyz")),
  ], nonsense),
  refused("has a part of old GNU tar that is no number", [
    tar(old(`${octal(0)}zzz`, octal(8), "x")),
  ], "sparse map of 'a'"),
  refused("has a negative size of old GNU tar", [
    tar(old(extents(0, 1), "-1", "x")),
  ], "size of 'a'"),
  refused("has old blocks of map without end", [continued([more(extents(2, 1), 1)], "wx")], "a"),
];
