/**
 * Names: prefixes, long ones, ones that lead elsewhere, and bytes that are no text.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import {
  bytes,
  type Case,
  file,
  folder,
  gives,
  gnuLong,
  hardlink,
  join,
  pax,
  refused,
  symlink,
  tar,
} from "./corpus.ts";

const n200 = "n".repeat(200);
const path4000 = `${`${n200}/`.repeat(19)}${"m".repeat(180)}`;
const folders = (path: string): string[] =>
  path.split("/").slice(0, -1).map((_, index, all) => `d 755 ${all.slice(0, index + 1).join("/")}`);

/** The cases. */
export const names: readonly Case[] = [
  gives("begins with `./`", [tar(folder("./"), folder("./a/"), file("./a/b", "1"))], [
    ...["d 755 a", "f 644 a/b 1"],
  ]),
  gives("begins with `/`", [tar(folder("/a"), file("/a/b", "1"))], ["d 755 a", "f 644 a/b 1"]),
  gives("has empty and `.` parts", [tar(file("././a//b/./c", "1"))], [
    ...["d 755 a", "d 755 a/b", "f 644 a/b/c 1"],
  ]),
  gives("has `..` parts that stay inside", [tar(folder("a"), file("a/../b", "1"))], [
    ...["d 755 a", "f 644 b 1"],
  ]),
  gives(
    "has `..` parts that lead outside",
    [tar(file("../../a", "1"), file("b/../../../c", "2"))],
    [
      ...["f 644 a 1", "f 644 c 2"],
    ],
  ),
  gives("names a folder of another program's making `../outside`", [
    tar(file("../outside/victim", "overwritten")),
  ], ["d 755 outside", "f 644 outside/victim overwritten"]),
  gives("describes the root folder", [tar(folder("./", 0o711), file("a"))], [
    ...["d 711 .", "f 644 a"],
  ]),
  gives("describes the root folder as `/`", [tar(folder("/", 0o711), file("a"))], [
    ...["d 711 .", "f 644 a"],
  ]),
  refused("has a file in the place of the root", [tar(file("./"), file("/"), file("."))], "root"),
  refused("has a file that ends in `..`", [tar(folder("a"), file("a/.."))], "root"),
  refused("has a symlink in the place of the root", [tar(symlink(".", "/etc"))], "root"),
  refused("has no name", [tar(file(""))], "no name"),
  gives("has entries without their parents", [tar(file("a/b/c", "1"))], [
    ...["d 755 a", "d 755 a/b", "f 644 a/b/c 1"],
  ]),
  gives("describes parents after what is in them", [
    tar(file("a/b", "1"), folder("a", 0o700)),
  ], ["d 700 a", "f 644 a/b 1"]),
  refused("has a file below a file", [tar(file("a", "1"), file("a/b", "2"))], "no"),
  gives("has names that only differ in case", [tar(file("a", "1"), file("A", "2"))], [
    ...["f 644 A 2", "f 644 a 1"],
  ]),
  gives("has names of dots and spaces", [tar(file("..."), file(" "), file("a "), file(".a."))], [
    ...["f 644  ", "f 644 ...", "f 644 .a.", "f 644 a "],
  ]),
  gives("has names with control characters and a backslash", [
    tar(file("a\nb", "1"), file("c\td", "2"), file("e\\f", "3"), file("\x1b[31m", "4")),
  ], [
    "f 644 \\x1b[31m 4",
    "f 644 a\\x0ab 1",
    "f 644 c\\x09d 2",
    "f 644 e\\x5cf 3",
  ]),
  gives("has a name that is no UTF-8", [tar(file(bytes(0x61, 0xff, 0xfe, 0x80), "1"))], [
    "f 644 a\\xff\\xfe\\x80 <1>",
  ]),
  gives("has a name of pax that is no UTF-8", [
    tar(pax([["path", bytes(0x61, 0xff, 0xc3)]]), file("x", "1")),
  ], ["f 644 a\\xff\\xc3 <1>"]),
  gives("has a symlink to bytes that are no UTF-8", [
    tar(pax([["linkpath", bytes(0x2f, 0xff, 0xc3)]]), symlink("x", "y")),
  ], ["l x -> /\\xff\\xc3"]),
  gives("has a name of 100 bytes, without a NUL", [tar(file("x".repeat(100), "1"))], [
    `f 644 ${"x".repeat(100)} 1`,
  ]),
  gives("has a name of ustar in two parts", [
    tar(rawMember({ name: "b".repeat(100), content: "1", patches: [[345, "a".repeat(155)]] })),
  ], [`d 755 ${"a".repeat(155)}`, `f 644 ${"a".repeat(155)}/${"b".repeat(100)} 1`]),
  gives("has bytes where ustar has the first part of a name, but is no ustar", [
    tar(rawMember({ name: "b", content: "1", magic: "", patches: [[345, "aaa"]] })),
  ], ["f 644 b 1"]),
  gives("has the first part of a name where GNU has times, as old Go wrote it", [
    tar(rawMember({ name: "b", content: "1", magic: "ustar  \0", patches: [[345, "aaa"]] })),
  ], ["d 755 aaa", "f 644 aaa/b 1"]),
  gives("has times of GNU where ustar has the first part of a name", [
    tar(rawMember({
      name: "b",
      content: "1",
      magic: "ustar  \0",
      patches: [[345, "07346545000\0" + "07346545000\0"]],
    })),
  ], ["f 644 b 1"]),
  gives("has a long name of GNU", [tar(gnuLong("L", path4000), file("short", "1"))], [
    ...[...folders(path4000), `f 644 ${path4000} 1`],
  ]),
  gives("has a long name of GNU without a NUL", [tar(gnuLong("L", n200, ""), file("x", "1"))], [
    `f 644 ${n200} 1`,
  ]),
  gives("has a long name of GNU with more behind its NUL", [
    tar(gnuLong("L", "a\0b/../c"), file("x", "1")),
  ], ["f 644 a 1"]),
  gives("has two long names of GNU for one file", [
    tar(gnuLong("L", "first"), gnuLong("L", "second"), file("x", "1")),
  ], ["f 644 second 1"]),
  gives("has a long link of GNU", [tar(gnuLong("K", n200), symlink("a", "x"))], [
    `l a -> ${n200}`,
  ]),
  gives("has a long name and a long link of GNU for one link", [
    tar(file("t", "1"), gnuLong("K", "./t"), gnuLong("L", n200), hardlink("x", "y")),
  ], [`f 644 ${n200} 1`, `f 644 t = ${n200}`]),
  gives("has a name of pax and of GNU for one file", [
    tar(pax([["path", "pax"]]), gnuLong("L", "gnu"), file("x", "1")),
  ], ["f 644 gnu 1"]),
  gives("has a part of 255 bytes", [tar(pax([["path", "n".repeat(255)]]), file("x"))], [
    `f 644 ${"n".repeat(255)}`,
  ]),
  refused(
    "has a part of 256 bytes",
    [tar(pax([["path", "n".repeat(256)]]), file("x"))],
    "too long",
  ),
  refused("has a name of 4,096 bytes", [
    tar(pax([["path", `${`${n200}/`.repeat(20)}${"m".repeat(76)}`]]), file("x")),
  ], "a path of 4096 bytes is too long"),
  refused("has a name of 300,000 bytes", [
    tar(pax([["path", "a/".repeat(150_000)]]), folder("x")),
  ], "too long"),
  refused("has a symlink to 4,096 bytes", [
    tar(pax([["linkpath", "a".repeat(4096)]]), symlink("x", "y")),
  ], "too long"),
  gives("has a symlink to 4,095 bytes", [
    tar(pax([["linkpath", "a/".repeat(2047) + "a"]]), symlink("x", "y")),
  ], [`l x -> ${"a/".repeat(2047)}a`]),
  refused("has a NUL in a name of pax", [tar(pax([["path", "a\0b"]]), file("x"))], "NUL"),
  refused(
    "has a NUL in a link of pax",
    [tar(pax([["linkpath", "a\0b"]]), symlink("x", "y"))],
    "NUL",
  ),
  gives("has bytes behind the NUL of a name", [tar(file(join("a\0", "b/../../c"), "1"))], [
    "f 644 a 1",
  ]),
  gives("has a file whose name ends in a slash, in the old format", [
    tar(rawMember({ name: "d/", type: "\0", magic: "" }), file("d/a", "1")),
  ], ["d 644 d", "f 644 d/a 1"]),
  gives("has a file whose name ends in a slash", [
    tar(file("d/", "1")),
  ], ["f 644 d 1"]),
];
