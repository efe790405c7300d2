/**
 * Whiteouts: of everything, in every order.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import { type Case, file, folder, gives, hardlink, refused, symlink, tar } from "./corpus.ts";

const noName = "Removes the folder that the whiteout is in. containerd refuses it.";

/** The cases. */
export const whiteouts: readonly Case[] = [
  gives("removes a file, a folder, a symlink and one name of two", [
    tar(
      ...[file("a", "1"), hardlink("b", "a"), folder("d"), file("d/e"), symlink("s", "a")],
      ...[file("kept")],
    ),
    tar(file(".wh.a"), file(".wh.d"), file(".wh.s")),
  ], ["f 644 b 1", "f 644 kept"]),
  gives("removes what is not there", [tar(file("a", "1")), tar(file(".wh.b"), file("c/.wh.d"))], [
    ...["f 644 a 1", "d 755 c"],
  ], "Makes no folder for it. containerd does."),
  gives("removes a symlink, not what it leads to", [
    tar(folder("d"), file("d/a", "1"), symlink("s", "d")),
    tar(file(".wh.s")),
  ], ["d 755 d", "f 644 d/a 1"]),
  gives("removes a file below a symlink", [
    tar(folder("d"), file("d/a", "1"), file("d/b", "2"), symlink("s", "d")),
    tar(file("s/.wh.a")),
  ], ["d 755 d", "f 644 d/b 2", "l s -> d"]),
  gives("removes what it then brings itself", [
    tar(folder("d"), file("d/lower", "1")),
    tar(file(".wh.d"), folder("d"), file("d/upper", "2")),
  ], ["d 755 d", "f 644 d/upper 2"]),
  gives("brings what it then removes", [
    tar(file("a", "lower")),
    tar(file("a", "upper"), file(".wh.a")),
  ], ["f 644 a upper"]),
  gives("hides a folder's content before its own entries", [
    tar(folder("d"), file("d/lower", "1"), folder("d/e"), file("d/e/lower", "2")),
    tar(folder("d"), file("d/.wh..wh..opq"), file("d/upper", "3")),
  ], ["d 755 d", "f 644 d/upper 3"]),
  gives("hides a folder's content after its own entries", [
    tar(folder("d"), file("d/lower", "1"), folder("d/e"), file("d/e/lower", "2")),
    tar(folder("d"), file("d/upper", "3"), file("d/e/upper", "4"), file("d/.wh..wh..opq")),
  ], ["d 755 d", "d 755 d/e", "f 644 d/e/upper 4", "f 644 d/upper 3"]),
  gives("hides the content of the root folder", [
    tar(file("a", "1"), folder("d"), file("d/b", "2")),
    tar(file(".wh..wh..opq"), file("c", "3")),
  ], ["f 644 c 3"]),
  gives("has a whiteout that is a folder, a symlink or a hard link", [
    tar(file("a", "1"), file("b", "2"), file("c", "3"), file("kept", "4")),
    tar(folder(".wh.a"), symlink(".wh.b", "kept"), hardlink(".wh.c", "kept")),
  ], ["f 644 kept 4"]),
  gives("has a whiteout with content", [
    tar(file("a", "1")),
    tar(file(".wh.a", "content"), file("b", "2")),
  ], ["f 644 b 2"]),
  gives("has names that only look like whiteouts", [
    tar(file(".wh", "1"), file("wh.a", "2"), file("a.wh.b", "3")),
  ], ["f 644 .wh 1", "f 644 a.wh.b 3", "f 644 wh.a 2"]),
  gives(
    "has bookkeeping of aufs",
    [
      tar(folder(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs"), file("a", "1")),
    ],
    ["f 644 a 1"],
    "Makes what is in the folder `.wh..wh.plnk`. Docker leaves it out.",
  ),
  refused("removes its own folder", [tar(folder("d"), file("d/.wh.."))], "names nothing", noName),
  refused("removes the folder above", [tar(folder("d"), file("d/.wh..."))], "names nothing"),
  refused("removes nothing at all", [tar(folder("d"), file("d/.wh."))], "names nothing", noName),
  gives("is applied twice, with its opposite between", [
    tar(file("a", "1"), file("b", "2")),
    tar(file(".wh.a")),
    tar(file("a", "1"), file("b", "2")),
  ], ["f 644 a 1", "f 644 b 2"]),
  gives("has a file whose folder was removed a layer before", [
    tar(folder("d", 0o700), file("d/a", "1")),
    tar(file(".wh.d")),
    tar(file("d/b", "2")),
  ], ["d 755 d", "f 644 d/b 2"]),
  gives("has a whiteout of a name that is no UTF-8", [
    tar(file(new Uint8Array([0x61, 0xff]), "1"), file("b", "2")),
    tar(rawMember({ name: new Uint8Array([0x2e, 0x77, 0x68, 0x2e, 0x61, 0xff]) })),
  ], ["f 644 b 2"]),
];
