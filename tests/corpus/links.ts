/**
 * Links, device nodes, and entries that take the place of others.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import { type Case, file, folder, gives, hardlink, refused, symlink, tar } from "./corpus.ts";

const device = (name: string, type: "3" | "4", major = 1, minor = 3): Uint8Array => {
  const octal = (value: number): string => `${value.toString(8).padStart(7, "0")}\0`;
  return rawMember({ name, type, patches: [[329, octal(major)], [337, octal(minor)]] });
};
const unknown = (type: string): Uint8Array<ArrayBuffer> =>
  tar(rawMember({ name: "a", type, content: "1" }));

/** The cases. */
export const links: readonly Case[] = [
  gives("has a hard link to a file of its own", [tar(file("a", "1"), hardlink("b", "a"))], [
    ...["f 644 a 1", "f 644 b = a"],
  ]),
  gives("has a hard link with a `./` and a `/` before its target", [
    tar(file("a", "1"), hardlink("b", "./a"), hardlink("c", "/a"), hardlink("d", "x/../a")),
  ], ["f 644 a 1", "f 644 b = a", "f 644 c = a", "f 644 d = a"]),
  gives("has a hard link to a file of a lower layer", [
    tar(file("a", "1")),
    tar(hardlink("b", "a")),
  ], ["f 644 a 1", "f 644 b = a"]),
  gives("has a hard link to a hard link", [
    tar(file("a", "1"), hardlink("b", "a"), hardlink("c", "b")),
  ], ["f 644 a 1", "f 644 b = a", "f 644 c = a"]),
  gives("has a hard link to a symlink, not to what that leads to", [
    tar(file("a", "1"), symlink("s", "a"), hardlink("b", "s")),
  ], ["f 644 a 1", "l b -> a", "l s -> a"]),
  gives("has a hard link through a symlink to a folder", [
    tar(folder("d"), file("d/a", "1"), symlink("s", "d"), hardlink("b", "s/a")),
  ], ["f 644 b 1", "d 755 d", "f 644 d/a = b", "l s -> d"]),
  refused("has a hard link to what is not there", [tar(hardlink("b", "a"))], "not there"),
  refused(
    "has a hard link to what comes later",
    [tar(hardlink("b", "a"), file("a", "1"))],
    "not there",
  ),
  refused("has a hard link to a folder", [tar(folder("a"), hardlink("b", "a"))], "b"),
  refused("has a hard link to the root folder", [tar(hardlink("b", "."))], "root"),
  gives(
    "has a hard link to itself",
    [tar(file("a", "1"), hardlink("a", "a"))],
    ["f 644 a 1"],
    "Removes the name first, and then misses what it is to link to.",
  ),
  gives("has a hard link in the place of another file", [
    tar(file("a", "1"), file("b", "2"), hardlink("b", "a")),
  ], ["f 644 a 1", "f 644 b = a"]),
  gives("has a hard link in the place of a folder", [
    tar(file("a", "1"), folder("b"), file("b/c")),
    tar(hardlink("b", "a")),
  ], ["f 644 a 1", "f 644 b = a"]),
  gives("has a file in the place of a name of a linked file", [
    tar(file("a", "1"), hardlink("b", "a")),
    tar(file("b", "2")),
  ], ["f 644 a 1", "f 644 b 2"]),
  refused(
    "has a hard link to a file outside",
    [tar(hardlink("b", "../outside/victim"))],
    "not there",
  ),
  refused("has a hard link to an absolute path outside", [
    tar(hardlink("b", "/etc/passwd")),
  ], "not there"),
  refused("has a hard link through a symlink that leads outside", [
    tar(symlink("s", "../outside"), hardlink("b", "s/victim"), file("b", "overwritten")),
  ], "not there"),
  gives("has a file below a symlink to a folder", [
    tar(folder("usr"), folder("usr/lib"), symlink("lib", "usr/lib"), file("lib/a", "1")),
  ], ["l lib -> usr/lib", "d 755 usr", "d 755 usr/lib", "f 644 usr/lib/a 1"]),
  gives("has a file below an absolute symlink", [
    tar(folder("usr"), symlink("lib", "/usr"), file("lib/a", "1")),
  ], ["l lib -> /usr", "d 755 usr", "f 644 usr/a 1"]),
  gives("has a file below a symlink that climbs above the root", [
    tar(folder("usr"), symlink("lib", "../../../usr"), file("lib/a", "1")),
  ], ["l lib -> ../../../usr", "d 755 usr", "f 644 usr/a 1"]),
  refused("has a file below a symlink to itself", [
    tar(symlink("a", "a"), file("a/b", "1")),
  ], "a"),
  refused("has a file below a symlink to what is below itself", [
    tar(symlink("a", "a/x"), file("a/b", "1")),
  ], "a"),
  gives("has a file below a symlink that leads nowhere", [
    tar(symlink("a", "b/c"), file("a/d", "1")),
  ], ["l a -> b/c", "d 755 b", "d 755 b/c", "f 644 b/c/d 1"]),
  gives("has a file below a symlink that leads by way of what is not there", [
    tar(symlink("a", "x/../y"), file("a/b", "1")),
  ], ["l a -> x/../y", "d 755 y", "f 644 y/b 1"]),
  gives("has a symlink that leads elsewhere once a folder was written in through it", [
    tar(folder("a", 0o555), file("a/t", "1"), file("a/h", "2"), folder("b"), file("b/h", "3")),
    tar(symlink("s", "a")),
    tar(file("s/n", "4"), symlink("s", "b"), file("a/m", "5"), hardlink("a/h", "a/t")),
  ], [
    ...["d 555 a", "f 644 a/h 1", "f 644 a/m 5", "f 644 a/n 4", "f 644 a/t = a/h"],
    ...["d 755 b", "f 644 b/h 3", "l s -> b"],
  ]),
  gives("has a folder in the place of a symlink that its parent was written in through", [
    tar(folder("a", 0o555), symlink("s", "a")),
    tar(file("s/n", "1"), folder("s"), file("s/m", "2"), file("a/z", "3")),
  ], ["d 555 a", "f 644 a/n 1", "f 644 a/z 3", "d 755 s", "f 644 s/m 2"]),
  gives("has a file in the place of a symlink to a file", [
    tar(file("a", "1"), symlink("b", "a"), file("b", "2")),
  ], ["f 644 a 1", "f 644 b 2"]),
  gives("has a folder in the place of a symlink to a folder", [
    tar(folder("a"), symlink("b", "a")),
    tar(folder("b"), file("b/c", "1")),
  ], ["d 755 a", "d 755 b", "f 644 b/c 1"]),
  gives("has a file in the place of a folder of a lower layer", [
    tar(folder("a"), file("a/b", "1")),
    tar(file("a", "2")),
  ], ["f 644 a 2"]),
  gives("has a symlink in the place of a folder with content", [
    tar(folder("a"), file("a/b", "1"), folder("c")),
    tar(symlink("a", "c")),
  ], ["l a -> c", "d 755 c"]),
  gives("has the same file three times", [tar(file("a", "1"), file("a", "2"), file("a", "3"))], [
    "f 644 a 3",
  ]),
  gives("has the same folder twice, with something between", [
    tar(folder("a", 0o700), file("a/b", "1"), folder("a", 0o750)),
  ], ["d 750 a", "f 644 a/b 1"]),
  gives("has every type in the place of every other", [
    tar(
      ...[file("a", "1"), symlink("a", "x"), folder("a"), rawMember({ name: "a", type: "6" })],
      ...[device("a", "3"), file("t"), hardlink("a", "t"), file("a", "2")],
    ),
  ], ["f 644 a 2", "f 644 t"]),
  gives("has device nodes and a FIFO", [
    tar(device("null", "3"), device("disk", "4", 8, 0), rawMember({ name: "pipe", type: "6" })),
  ], ["b 644 disk", "c 644 null", "p 644 pipe"]),
  gives("has a device node like an overlay's whiteout", [tar(device("a", "3", 0, 0))], [
    "c 644 a",
  ]),
  gives(
    "has entries below dev",
    [tar(folder("dev"), device("dev/null", "3"), file("dev/x", "1"), folder("dev/shm"))],
    ["d 755 dev"],
    "Makes them. A container's devices come from the host, so what is below dev is left out here.",
  ),
  gives("has a contiguous file, which is a file", [
    tar(rawMember({ name: "a", type: "7", content: "1" })),
  ], [
    "f 644 a 1",
  ], "Refuses the type. POSIX has a program that knows no such files take it for an ordinary one."),
  gives(
    "has a folder as GNU's incremental dumps write it",
    [
      tar(rawMember({ name: "d", type: "D", content: "Ya\0\0", mode: 0o755 }), file("d/a", "1")),
    ],
    ["d 755 d", "f 644 d/a 1"],
    "Refuses the type.",
  ),
  gives(
    "has a volume's name before its entries",
    [
      tar(rawMember({ name: "volume", type: "V" }), file("a", "1")),
    ],
    ["f 644 a 1"],
    "Refuses the type.",
  ),
  refused("has the rest of a file of another volume", [unknown("M")], "not supported"),
  refused("has a type that does not exist", [unknown("Q")], "not supported"),
  refused("has a vendor's type", [unknown("A")], "not supported"),
  gives("has a symlink with permissions and set-id bits", [
    tar(rawMember({ name: "a", type: "2", linkname: "b", mode: 0o6777 })),
  ], ["l a -> b"]),
  refused("has a symlink to nothing", [tar(symlink("a", ""))], "a"),
];
