/**
 * Archives that end too early, too late, or not at all.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";
import { bytes, type Case, file, folder, gives, join, refused, tar } from "./corpus.ts";

const zeroes = (blocks: number): Uint8Array => new Uint8Array(512 * blocks);

/** The cases. */
export const ends: readonly Case[] = [
  gives("has no bytes", [bytes()], []),
  gives("has one block of zeroes", [join(zeroes(1))], []),
  gives("has nothing but its end", [tar()], []),
  gives("has no end", [file("a", "1")], ["f 644 a 1"]),
  gives("has half an end", [join(file("a", "1"), zeroes(1))], ["f 644 a 1"]),
  gives("has an end of 10 KiB, as GNU tar writes it", [join(file("a", "1"), zeroes(20))], [
    "f 644 a 1",
  ]),
  gives("has bytes of any kind behind its end", [
    join(tar(file("a", "1")), new Uint8Array(5000).fill(65)),
  ], ["f 644 a 1"]),
  gives("has another archive behind its end", [join(tar(file("a", "1")), tar(file("b", "2")))], [
    "f 644 a 1",
  ]),
  refused("has a block of zeroes between entries", [
    tar(file("a", "1"), zeroes(1), file("b", "2")),
  ], "zeroes"),
  refused("begins with a block of zeroes", [tar(zeroes(1), file("a", "1"))], "zeroes"),
  refused("is cut in its first header", [file("a", "1").slice(0, 300)], "middle of a header"),
  refused("is cut in a later header", [
    join(file("a", "1"), file("b", "2").slice(0, 300)),
  ], "middle of a header"),
  refused("is cut in a file", [join(file("a", "x".repeat(1000)).slice(0, 1000))], "middle of 'a'"),
  refused("is cut between a header and its file", [
    rawMember({ name: "a", size: 100 }),
  ], "middle of 'a'"),
  gives("is cut in the padding of a file", [join(file("a", "x").slice(0, 600))], ["f 644 a x"]),
  gives("is cut before the padding of a file", [join(file("a", "x").slice(0, 513))], ["f 644 a x"]),
  refused("is cut in an end that is no end", [
    join(file("a", "1"), new Uint8Array(100)),
  ], "middle of a header"),
  refused("has a size that takes the next header for content", [
    tar(rawMember({ name: "a", content: "1", size: 1400 }), folder("b"), file("c", "2")),
  ], "checksum"),
  refused("is random bytes", [new Uint8Array(4096).fill(0x5a)], "checksum"),
  refused("is text", [join("#!/bin/sh\necho this is no tar\n".repeat(40))], "checksum"),
];
