/**
 * Extended headers: malformed, too large, contradictory; and extended attributes.
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
  join,
  pax,
  rawRecords,
  refused,
  symlink,
  tar,
} from "./corpus.ts";

const malformed = "a pax header is malformed";
const noGlobal =
  "Refuses global headers. Docker and containerd pass over them, and POSIX has them " +
  "hold for all that follows.";
const attribute = (
  keyword: string,
  value: string | Uint8Array,
): Uint8Array<ArrayBuffer> => tar(pax([[keyword, value]]), file("a"));

/** The cases. */
export const paxHeaders: readonly Case[] = [
  refused("has a record that is longer than its header", [
    tar(rawRecords("99 path=b\n"), file("a")),
  ], malformed),
  refused(
    "has a record that ends too early",
    [tar(rawRecords("8 path=b\n"), file("a"))],
    malformed,
  ),
  refused("has a record of length 0", [tar(rawRecords("0 path=b\n"), file("a"))], malformed),
  refused("has a record with a negative length", [
    tar(rawRecords("-10 path=b\n"), file("a")),
  ], malformed),
  refused("has a record whose length is no number", [
    tar(rawRecords("ten path=b\n"), file("a")),
  ], malformed),
  refused("has a record with a giant length", [
    tar(rawRecords(`${"9".repeat(40)} path=b\n`), file("a")),
  ], malformed),
  refused("has a record without a length", [tar(rawRecords(" path=b\n"), file("a"))], malformed),
  refused("has a record without a value", [tar(rawRecords("7 path\n"), file("a"))], malformed),
  refused("has a record without a keyword", [tar(rawRecords("5 =b\n"), file("a"))], malformed),
  refused("has a record without a line end", [tar(rawRecords("10 path=bb"), file("a"))], malformed),
  refused("has a record in its padding", [
    tar(rawRecords("10 path=b\n\0\0\0"), file("a")),
  ], malformed),
  gives("has a line end in a value", [tar(pax([["path", "a\nb"]]), file("x", "1"))], [
    "f 644 a\\x0ab 1",
  ]),
  gives("has an empty extended header", [tar(rawRecords(""), file("a", "1"))], ["f 644 a 1"]),
  gives("has keywords that nobody knows", [
    tar(pax([["VENDOR.thing", "x=y"], ["comment", "c"]]), file("a", "1")),
  ], ["f 644 a 1"]),
  gives("says the same thing twice", [tar(pax([["path", "b"], ["path", "c"]]), file("a", "1"))], [
    "f 644 c 1",
  ]),
  gives("has an empty path, which leaves that of the header", [
    tar(pax([["path", ""]]), file("a", "1")),
  ], ["f 644 a 1"]),
  gives("has two extended headers for one file", [
    tar(pax([["path", "b"], ["mtime", "5"]]), pax([["path", "c"]]), file("a", "1")),
  ], ["f 644 c 1"]),
  refused(
    "ends after an extended header",
    [tar(pax([["path", "b"]]))],
    "ends after",
    "Takes it for the end, though an archive that is cut there looks the same.",
  ),
  refused("has an extended header of more than 1 MiB", [
    tar(rawRecords("x".repeat((1 << 20) + 1)), file("a")),
  ], "1 MiB"),
  refused("has an extended header of 8 GiB", [
    tar(rawMember({ name: "x", type: "x", size: "77777777777\0" }), file("a")),
  ], "1 MiB"),
  gives("has an extended header of half a MiB", [
    tar(pax([["comment", "x".repeat(1 << 19)]]), file("a", "1")),
  ], ["f 644 a 1"]),
  gives("has a size of pax in place of the header's", [
    tar(pax([["size", "3"]]), rawMember({ name: "a", content: "abc", size: 0 })),
  ], ["f 644 a abc"]),
  refused("has a size of pax of 0, and content", [
    tar(pax([["size", "0"]]), file("a", "abc"), file("b")),
  ], "checksum"),
  refused("has a size of pax beyond the archive", [
    tar(pax([["size", "100000"]]), file("a", "abc")),
  ], "in the middle of 'a'"),
  refused("has a size of pax beyond all numbers", [
    tar(pax([["size", "9".repeat(30)]]), file("a")),
  ], "size"),
  refused("has a negative size of pax", [tar(pax([["size", "-1"]]), file("a"))], "size"),
  gives("has a size of pax for what has no content", [
    tar(pax([["size", "512"]]), folder("d"), pax([["size", "512"]]), symlink("l", "t"), file("a")),
  ], ["f 644 a", "d 755 d", "l l -> t"]),
  gives("has a directory with a size, and no content", [
    tar(rawMember({ name: "d", type: "5", mode: 0o755, size: 4096 }), file("a", "1")),
  ], ["f 644 a 1", "d 755 d"]),
  gives(
    "has a global comment, as of git",
    [
      tar(pax([["comment", "0123456789"]], "g"), file("a", "1")),
    ],
    ["f 644 a 1"],
    noGlobal,
  ),
  gives(
    "has global records, one of which is taken back",
    [
      tar(
        pax([["mtime", "7"], ["uid", "5"]], "g"),
        ...[file("a"), pax([["mtime", "8"]]), file("b"), pax([["mtime", ""]]), file("c")],
      ),
    ],
    ["f 644 a @7 5:0", "f 644 b @8 5:0", "f 644 c 5:0"],
    noGlobal,
  ),
  refused("has global headers without end", [
    tar(...Array.from({ length: 300 }, (_, index) => pax([[`x${index}`, "1"]], "g")), file("a")),
  ], "global headers"),
  gives("has attributes as star has them", [
    tar(pax([["SCHILY.xattr.user.a", "1"], ["SCHILY.xattr.user.b", bytes(0, 255)]]), file("a")),
  ], ["f 644 a user.a=0x31 user.b=0x00ff"]),
  gives("has attributes of folders", [
    tar(pax([["SCHILY.xattr.user.a", "1"]]), folder("d"), file("d/a")),
  ], ["d 755 d user.a=0x31", "f 644 d/a"]),
  gives("has a capability", [
    attribute("SCHILY.xattr.security.capability", capability()),
  ], [`f 644 a security.capability=0x${capability().toHex()}`]),
  gives(
    "has an attribute without a value",
    [attribute("SCHILY.xattr.user.a", "")],
    ["f 644 a user.a=0x"],
    "Passes over records without a value, though an attribute may have none.",
  ),
  gives(
    "has attributes as libarchive has them",
    [tar(pax([["LIBARCHIVE.xattr.user.a%3Db", btoa("value")]]), file("a"))],
    // As getfattr(1) shows the name `user.a=b`.
    [`f 644 a user.a\\x5c075b=0x${new TextEncoder().encode("value").toHex()}`],
    "Knows only those of star.",
  ),
  gives("has an attribute as both have it", [
    tar(
      pax([["LIBARCHIVE.xattr.user.a", btoa("other")], ["SCHILY.xattr.user.a", "1"]]),
      file("a"),
    ),
  ], ["f 644 a user.a=0x31"]),
  refused(
    "has an attribute that is no base 64",
    [attribute("LIBARCHIVE.xattr.user.a", "!!")],
    "base 64",
    "Knows only those of star.",
  ),
  refused("has an attribute without a name", [attribute("SCHILY.xattr.", "1")], "attribute"),
  refused("has an attribute with a NUL in its name", [
    attribute("SCHILY.xattr.user.a\0b", "1"),
  ], "attribute"),
  gives("has an attribute of a kind that does not exist", [
    attribute("SCHILY.xattr.odd.kind", "1"),
  ], ["f 644 a"]),
  gives("has an attribute with a name that is no UTF-8", [
    tar(
      rawRecords(join("25 SCHILY.xattr.user.", bytes(0xff), "=1\n")),
      file("a"),
    ),
  ], ["f 644 a user.\\xff=0x31"]),
  gives(
    "has an attribute of 70,000 bytes, which is more than the kernel takes",
    [attribute("SCHILY.xattr.user.a", "x".repeat(70_000))],
    ["f 644 a"],
    "Refuses it. What cannot be set of attributes is left out here, and counted.",
  ),
];

/** cap_net_raw, permitted: version 2 of the attribute. */
function capability(): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(20);
  value.set([1, 0, 0, 2, 0, 0x20]);
  return value;
}
