import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { file, folder, hardlink, Place, sha256, symlink } from "../../tests/support/layer_place.ts";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { parseDiffId, parseDigest } from "../oci/digest.ts";
import type { ApplyLayer } from "../pool/protocol.ts";
import { applyLayer } from "./apply_layer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const semantics: [what: string, layers: Bytes[][], expected: string[]][] = [
  ["a file is replaced by a later layer", [[file("a", "1")], [file("a", "2")]], ["a=2"]],
  ["the last of repeated entries counts", [[file("a", "1"), file("a", "2")]], ["a=2"]],
  ["prefixes are dropped", [[file("./a"), file("/b"), file("././c//d")]], [
    "a=",
    "b=",
    "c/",
    "c/d=",
  ]],
  ["missing parents are made", [[file("a/b/c")]], ["a/", "a/b/", "a/b/c="]],
  ["a folder stays with its content when it is named again", [
    [folder("d"), file("d/a")],
    [folder("d", 0o700)],
  ], ["d/", "d/a="]],
  ["a folder takes the place of a file", [[file("x")], [folder("x"), file("x/y")]], ["x/", "x/y="]],
  ["a file takes the place of a folder", [[folder("x"), file("x/y")], [file("x", "f")]], ["x=f"]],
  ["a symlink takes the place of a folder", [
    [folder("x"), file("x/y"), folder("z")],
    [symlink("x", "z")],
  ], ["x", "z/"]],
  ["a folder takes the place of a symlink to a folder", [
    [folder("z"), file("z/a"), symlink("x", "z")],
    [folder("x"), file("x/b")],
  ], ["x/", "x/b=", "z/", "z/a="]],
  ["a file below a symlink goes where it leads inside the root", [
    [folder("usr"), folder("usr/lib"), symlink("lib", "usr/lib")],
    [file("lib/a")],
  ], ["lib", "usr/", "usr/lib/", "usr/lib/a="]],
  ["a whiteout removes what a lower layer brought", [
    [folder("d"), file("d/a"), file("d/b")],
    [file("d/.wh.a")],
  ], ["d/", "d/b="]],
  ["a whiteout removes a whole folder", [[file("d/e/f"), file("g")], [file(".wh.d")]], ["g="]],
  ["a whiteout of nothing does nothing", [[file("a")], [file(".wh.b"), file("c/.wh.d")]], [
    ...["a=", "c/"],
  ]],
  ["a whiteout before or after its name's own entry keeps that entry", [
    [file("a", "lower"), file("b", "lower")],
    [file(".wh.a"), file("a", "upper"), file("b", "upper"), file(".wh.b")],
  ], ["a=upper", "b=upper"]],
  ["a whiteout of a folder that its own layer writes in keeps only that", [
    [file("d/lower"), file("d/e/lower")],
    [file("d/e/upper"), file(".wh.d")],
  ], ["d/", "d/e/", "d/e/upper="]],
  ["a whiteout in a folder that its own layer has made anew hides nothing of that", [
    [file("d/lower"), file("d/e/lower"), file("f")],
    [
      ...[file(".wh.d"), folder("d"), file("d/upper"), file("d/e/upper"), file("d/.wh.upper")],
      ...[file("d/.wh.e"), file("d/.wh..wh..opq"), folder("f"), file("f/g"), file("f/.wh.g")],
      file(".wh.f"),
    ],
  ], ["d/", "d/e/", "d/e/upper=", "d/upper=", "f/", "f/g="]],
  ["an opaque whiteout before its siblings hides the lower ones", [
    [file("d/lower"), file("d/e/lower")],
    [folder("d"), file("d/.wh..wh..opq"), file("d/upper")],
  ], ["d/", "d/upper="]],
  ["an opaque whiteout after its siblings hides the lower ones", [
    [file("d/lower"), file("d/e/lower"), file("d/e/same", "lower")],
    [file("d/upper"), file("d/e/same", "upper"), file("d/.wh..wh..opq")],
  ], ["d/", "d/e/", "d/e/same=upper", "d/upper="]],
  ["an opaque whiteout of the root hides all", [[file("a"), file("d/b")], [
    ...[file("c"), file(".wh..wh..opq")],
  ]], ["c="]],
  ["bookkeeping of aufs is no part of the image", [[
    ...[folder(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs"), file("a")],
  ]], ["a="]],
  ["what is below dev is left out, dev itself is not", [[
    ...[folder("dev"), file("dev/x"), file("./dev/shm/y"), file("device")],
  ]], ["dev/", "device="]],
  [
    "the same layer twice is the layer again",
    [[file("a", "1")], [file(".wh.a")], [file("a", "1")]],
    [
      "a=1",
    ],
  ],
  ["an empty layer changes nothing", [[file("a", "1")], []], ["a=1"]],
  ["a hard link shares a file of a lower layer", [[file("a", "x")], [hardlink("b", "a")]], [
    ...["a=x", "b=x"],
  ]],
  ["a hard link to its own name changes nothing", [[file("a", "x"), hardlink("a", "a")]], ["a=x"]],
  ["a hard link replaces what had its name", [[
    file("a", "x"),
    file("b", "y"),
    hardlink("b", "./a"),
  ]], [
    ...["a=x", "b=x"],
  ]],
  ["a file that replaces a hard link leaves the other name alone", [
    [file("a", "x"), hardlink("b", "a")],
    [file("b", "y")],
  ], ["a=x", "b=y"]],
];
for (const [what, layers, expected] of semantics) {
  Deno.test(`layers: ${what}`, async () => {
    using place = new Place();
    await place.layers(...layers);
    assertEquals(place.list(), expected);
  });
}

Deno.test("layers: no entry leaves the root by `..`, and none replaces the root", async () => {
  using place = new Place();
  await place.layers([file("../../a"), file("d/../../outside/b"), file("../outside/victim", "x")]);
  assertEquals(place.list(), ["a=", "outside/", "outside/b=", "outside/victim=x"]);
  await assertRejects(() => place.layers([file("d/..")]), EnrootError, "root folder");
});

Deno.test("layers: no symlink of the archive leads out of the root", async () => {
  using place = new Place();
  await place.layers([
    symlink("abs", place.outside),
    symlink("rel", "../outside"),
    symlink("proc", "/proc/self/root"),
    symlink("two", "rel/../../outside"),
  ]);
  for (const name of ["abs", "rel", "two"]) {
    const attack = place.layers([
      file(`${name}/victim`, "overwritten"),
      file(`${name}/.wh.victim`),
    ]);
    await attack.catch((error) => assert(error instanceof EnrootError, String(error)));
  }
  await place.layers([file("proc/x")]).catch((error) => assert(error instanceof EnrootError));
  for (const target of ["abs/victim", "rel/victim", "../outside/victim"]) {
    await assertRejects(
      () => place.layers([hardlink("stolen", target), file("stolen", "x")]),
      EnrootError,
      "not there",
    ).catch(() => {});
  }
});

Deno.test("layers: a symlink is replaced, not followed, by whatever has its name", async () => {
  using place = new Place();
  const victim = `${place.outside}/victim`;
  await place.layers([symlink("a", victim), symlink("b", victim), symlink("c", place.outside)]);
  await place.layers([
    file("a", "mine"),
    rawMember({ name: "b", type: "6" }),
    folder("c"),
    file("c/victim", "mine"),
  ]);
  assertEquals(place.list(), ["a=mine", "b", "c/", "c/victim=mine"]);
});

Deno.test("layers: modes, times and links are those of the archive, the umask is not asked", async () => {
  using place = new Place();
  const before = Deno.umask(0o077);
  try {
    await place.layers([
      folder("d", 0o1777, 11),
      rawPax({ mtime: "12.000000345" }),
      rawMember({ name: "d/f", mode: 0o644, content: "x" }),
      rawMember({ name: "s", type: "2", linkname: "nowhere/at all", mtime: 13 }),
      rawMember({ name: "p", type: "6", mode: 0o622, mtime: 14 }),
      hardlink("h", "d/f"),
      rawMember({ name: "late/f", mode: 0o600, mtime: 15 }),
    ]);
  } finally {
    Deno.umask(before);
  }
  const seen = (path: string): unknown[] => {
    const { mode, mtime } = place.stat(path);
    return [(mode ?? 0) & 0o7777, (mtime?.getTime() ?? 0) / 1000];
  };
  assertEquals(seen("d"), [0o1777, 11]);
  assertEquals(seen("d/f"), [0o644, 12]);
  assertEquals(seen("s")[1], 13);
  assertEquals(Deno.readLinkSync(`${place.root}/s`), "nowhere/at all");
  assertEquals(seen("p"), [0o622, 14]);
  assertEquals(seen("late"), [0o755, 0]);
  assertEquals([place.stat("h").ino, place.stat("h").nlink], [place.stat("d/f").ino, 2]);
});

Deno.test("layers: a folder that is only written in keeps the mode and time it had", async () => {
  using place = new Place();
  await place.layers([folder("d", 0o750, 100), file("d/a"), file("d/b")]);
  await place.layers([file("d/c"), file("d/.wh.a")]);
  const { mode, mtime } = place.stat("d");
  assertEquals([(mode ?? 0) & 0o7777, mtime?.getTime()], [0o750, 100_000]);
});

Deno.test("layers: folders without permissions for their owner are filled all the same", async () => {
  using place = new Place();
  await place.layers([folder("d", 0o000), file("d/a", "1")], [file("d/b", "2")]);
  const mode = (place.stat("d").mode ?? 0) & 0o777;
  assertEquals(mode, Deno.uid() === 0 ? 0 : 0o500);
  Deno.chmodSync(`${place.root}/d`, 0o700);
  assertEquals(place.list(), ["d/", "d/a=1", "d/b=2"]);
});

Deno.test("layers: a large archive of small files is applied whole, gzip or not", async () => {
  for (const compression of ["none", "gzip"] as const) {
    using place = new Place();
    const members = Array.from(
      { length: 3000 },
      (_, index) => file(`d${index % 50}/f${index}`, String(index)),
    );
    const summary = await place.apply(rawArchive(...members), { compression });
    assertEquals(summary.entries, 3000);
    assertEquals(place.list().filter((name) => name.includes("=")).length, 3000);
  }
});

Deno.test("layers: devices are left out and counted, attributes that cannot be set too", async () => {
  using place = new Place();
  const summary = await place.apply(rawArchive(
    rawMember({ name: "null", type: "3" }),
    rawMember({ name: "disk", type: "4" }),
    rawPax({ "SCHILY.xattr.security.capability": "x", "SCHILY.xattr.trusted.y": "z" }),
    file("a"),
  ));
  assertEquals([summary.skippedDevices, summary.skippedXattrs], [2, 2]);
  assertEquals(place.list(), ["a="]);
});

const refusals: [what: string, tar: Bytes, changes: Partial<ApplyLayer>, text: string][] = [
  ["another diff ID", rawArchive(file("a")), {
    diffId: parseDiffId(`sha256:${"0".repeat(64)}`),
  }, "the data is damaged"],
  ["another digest", rawArchive(file("a")), {
    digest: parseDigest(`sha256:${"0".repeat(64)}`),
  }, "the data is damaged"],
  [
    "plain bytes said to be zstd",
    rawArchive(file("a")),
    { compression: "zstd" },
    "bytes are plain",
  ],
  ["a whiteout of the parent", rawArchive(file("d/.wh...")), {}, "names nothing"],
  ["a whiteout of the folder itself", rawArchive(file("d/.wh..")), {}, "names nothing"],
  ["a whiteout of no name", rawArchive(file("d/.wh.")), {}, "names nothing"],
  ["a hard link to what is not there", rawArchive(hardlink("a", "b")), {}, "which is not there"],
  ["a hard link to the root", rawArchive(hardlink("a", "/")), {}, "root folder"],
  ["a file below a file", rawArchive(file("a"), file("a/b")), {}, "not a folder"],
  ["a name of 256 bytes", rawArchive(rawPax({ path: "n".repeat(256) }), file("x")), {}, "too long"],
  [
    "more than the limit",
    rawArchive(file("a", "x".repeat(5000))),
    { limits: { maxSize: 4000 } },
    "MAX_LAYER_SIZE",
  ],
  ["a request that is cancelled", rawArchive(file("a")), {
    cancelled: Object.assign(new SharedArrayBuffer(4)),
  }, "cancelled"],
];
for (const [what, tar, changes, text] of refusals) {
  Deno.test(`layers: ${what} is refused`, async () => {
    using place = new Place();
    if (changes.cancelled !== undefined) new Int32Array(changes.cancelled)[0] = 1;
    const error = await assertRejects(() => place.apply(tar, changes), EnrootError, text);
    assert(!error.message.includes("\n"));
  });
}

Deno.test("layers: one that inflates beyond the ratio is stopped on the way", async () => {
  using place = new Place();
  const tar = rawArchive(rawMember({ name: "bomb", content: new Uint8Array(64 << 20) }));
  await assertRejects(
    () => place.apply(tar, { compression: "gzip", limits: { maxInflateRatio: 100 } }),
    EnrootError,
    "ENROOT_MAX_INFLATE_RATIO",
  );
});

Deno.test("layers: truncated gzip is told from a truncated archive by its digest", async () => {
  using place = new Place();
  const stored = gzipSync(rawArchive(file("a", "x".repeat(100_000))));
  const path = `${place.top}/cut`;
  await Deno.writeFile(path, stored.subarray(0, stored.length - 20));
  const cut = { path, offset: 0, size: stored.length - 20 };
  await assertRejects(
    () =>
      place.apply(rawArchive(file("a")), {
        compression: "none",
        digest: parseDigest(sha256(stored)),
        file: cut,
      }),
    EnrootError,
  );
  const error = await assertRejects(
    () =>
      applyLayer({
        kind: "apply-layer",
        id: 0,
        root: place.root,
        name: "layer 1",
        file: cut,
        compression: "gzip",
        digest: parseDigest(sha256(stored)),
        diffId: parseDiffId(sha256(stored)),
        ownership: "caller",
        limits: {},
        cancelled: new SharedArrayBuffer(4),
      }, () => {}),
    EnrootError,
  );
  assertEquals(error.code, "digest-mismatch");
});
