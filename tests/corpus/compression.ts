/**
 * How layers are stored: members, frames, and what follows them.
 *
 * @module
 */

import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  type Bytes,
  bytes,
  type Case,
  file,
  gives,
  join,
  type Layer,
  refused,
  tar,
} from "./corpus.ts";

const whole = tar(file("a", "1"), file("b", "x".repeat(5000)));
const lines = ["f 644 a 1", "f 644 b <5000>"];
const [head, tail] = [whole.slice(0, 2000), whole.slice(2000)];
const noZstd = "This version knows no zstd.";

const gzip = (stored: Bytes): Layer => ({ tar: whole, compression: "gzip", stored });
const zstd = (stored: Bytes): Layer => ({ tar: whole, compression: "zstd", stored });
const zip = (part: Bytes): Bytes => new Uint8Array(gzipSync(part));
const std = (part: Bytes): Bytes => new Uint8Array(zstdCompressSync(part));
const skippable = (size: number): Bytes =>
  join(bytes(0x5a, 0x2a, 0x4d, 0x18, size, 0, 0, 0), new Uint8Array(size));

/** The cases. */
export const compression: readonly Case[] = [
  gives("is stored as one gzip member", [gzip(zip(whole))], lines),
  gives(
    "is stored as several gzip members",
    [gzip(join(zip(head), zip(bytes()), zip(tail)))],
    lines,
  ),
  gives(
    "is stored as gzip, with zeroes behind it",
    [gzip(join(zip(whole), new Uint8Array(1000)))],
    lines,
    "Refuses it, as Go's reader does. gzip(1) and pigz, which containerd runs where it is there, " +
      "take it for padding; both digests are checked all the same.",
  ),
  gives(
    "is stored as gzip, with bytes of any kind behind it",
    [gzip(join(zip(whole), "any kind"))],
    lines,
    "Refuses it, see above.",
  ),
  refused("is stored as a gzip member that is cut", [gzip(zip(whole).slice(0, -4))], "truncated"),
  refused("is stored as gzip members, the last of which is cut", [
    gzip(join(zip(head), zip(tail).slice(0, -1))),
  ], "truncated"),
  refused(
    "is stored as gzip members, the last of which is missing",
    [gzip(zip(head))],
    "middle of 'b'",
  ),
  refused("is stored as gzip with a wrong CRC", [gzip(wrongCrc())], "CRC"),
  refused("is stored as nothing, and said to be gzip", [gzip(bytes())], "no bytes"),
  refused("is stored as it is, and said to be gzip", [gzip(whole)], "its bytes are plain"),
  gives("is stored as one zstd frame", [zstd(std(whole))], lines, noZstd),
  gives("is stored as several zstd frames", [zstd(join(std(head), std(tail)))], lines, noZstd),
  gives(
    "is stored as zstd:chunked stores it, with skippable frames",
    [zstd(join(skippable(9), std(head), skippable(0), std(tail), skippable(100), skippable(64)))],
    lines,
    noZstd,
  ),
  refused("is stored as a zstd frame that is cut", [zstd(std(whole).slice(0, -1))], "truncated"),
  refused(
    "is stored as zstd frames, the last of which is missing",
    [zstd(std(head))],
    "middle of 'b'",
  ),
  refused("is stored as zstd, with bytes of any kind behind it", [
    zstd(join(std(whole), "any kind")),
  ], "no zstd"),
  refused("is stored as gzip, and said to be zstd", [zstd(zip(whole))], "its bytes are gzip"),
];

function wrongCrc(): Bytes {
  const stored = zip(whole);
  const at = stored.length - 8;
  stored[at] = (stored[at] ?? 0) ^ 1;
  return stored;
}
