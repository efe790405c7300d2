import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { run } from "../../tests/support/command.ts";
import { file, folder, hardlink, Place, symlink } from "../../tests/support/layer_place.ts";
import { rawArchive, rawPax } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { applyLayer } from "./apply_layer.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const script = new URL("../../tests/support/apply_layer_main.ts", import.meta.url).pathname;

/** Apply a layer in a process of its own. @param wrap what that process is started by */
async function applyApart(place: Place, wrap: readonly string[], tar: Bytes): Promise<string> {
  const { file: { path } } = await place.request(tar);
  const argv = [Deno.execPath(), "run", "-A", "--no-check", "--no-lock", script, place.root, path];
  return await run([...wrap, ...argv]);
}

/** How a folder is, in a form that is easy to write down. */
function facts(place: Place, path: string): string {
  const { mode, mtime } = place.stat(path);
  return `${((mode ?? 0) & 0o7777).toString(8)} @${(mtime?.getTime() ?? 0) / 1000}`;
}

const lower: readonly Bytes[] = [
  ...[folder("dir", 0o555, 111), file("dir/t", "T"), file("dir/hl", "old"), file("dir/x", "old")],
  ...[folder("other", 0o755, 222), file("other/hl", "PRECIOUS"), symlink("link", "dir")],
];

const aliases: [what: string, upper: Bytes[], expected: string[]][] = [
  ["is pointed elsewhere", [
    ...[file("link/a", "a"), symlink("link", "other"), file("dir/x", "NEW")],
    hardlink("dir/hl", "dir/t"),
  ], ["dir/a=a", "dir/hl=T", "dir/t=T", "dir/x=NEW", "link", "other/hl=PRECIOUS"]],
  ["is replaced by a file", [
    ...[file("link/a", "a"), file("link", "now a file"), file("dir/x", "NEW")],
  ], ["dir/a=a", "dir/hl=old", "dir/t=T", "dir/x=NEW", "link=now a file", "other/hl=PRECIOUS"]],
  ["is replaced by a folder", [
    ...[file("link/a", "a"), folder("link"), file("link/b", "b"), file("dir/x", "NEW")],
  ], ["dir/a=a", "dir/hl=old", "dir/t=T", "dir/x=NEW", "link/", "link/b=b", "other/hl=PRECIOUS"]],
  ["is removed", [
    ...[file("link/a", "a"), file(".wh.link"), file("dir/x", "NEW")],
  ], ["dir/a=a", "dir/hl=old", "dir/t=T", "dir/x=NEW", "other/hl=PRECIOUS"]],
];
for (const [what, upper, expected] of aliases) {
  Deno.test(`folders: one that was written in through a symlink stays what it is when that ${what}`, async () => {
    using place = new Place();
    await place.layers(lower, upper);
    assertEquals(place.list(), [...expected, "dir/", "other/"].sort());
    assertEquals([facts(place, "dir"), facts(place, "other")], ["555 @111", "755 @222"]);
  });
}

Deno.test("folders: an entry that replaces a symlink on its own path goes where that led", async () => {
  using place = new Place();
  await place.layers([folder("d", 0o755, 111), symlink("d/l", ".")], [file("d/l/l", "1")]);
  assertEquals([place.list(), facts(place, "d")], [["d/", "d/l=1"], "755 @111"]);
});

Deno.test("folders: one that is gone at the end, and that the layer did not remove, fails it", async () => {
  using place = new Place();
  const content = "x".repeat(1 << 20);
  const request = await place.request(rawArchive(folder("gone"), file("f", content)));
  const applied = applyLayer({ id: 0, cancelled: new SharedArrayBuffer(4), ...request }, () => {
    if (place.list().includes("gone/")) Deno.removeSync(`${place.root}/gone`);
  });
  await assertRejects(() => applied, EnrootError, "gone: No such file");
});

const dangling: [what: string, members: Bytes[], expected: string[]][] = [
  ["a folder that is missing", [symlink("a", "b/c"), file("a/d", "1")], [
    ...["a", "b/", "b/c/", "b/c/d=1"],
  ]],
  ["another that leads nowhere", [symlink("a", "b"), symlink("b", "/c/d"), file("a/e", "1")], [
    ...["a", "b", "c/", "c/d/", "c/d/e=1"],
  ]],
  ["what is missing and back", [symlink("a", "x/../y"), file("a/b", "1")], ["a", "y/", "y/b=1"]],
  ["what would be outside of the root", [
    ...[symlink("a", "../../outside/new"), file("a/victim", "1")],
    ...[symlink("b", "/../outside/x/../../../../../outside"), file("b/victim", "2")],
  ], ["a", "b", "outside/", "outside/new/", "outside/new/victim=1", "outside/victim=2"]],
];
for (const [what, members, expected] of dangling) {
  Deno.test(`folders: a symlink to ${what} is a parent all the same`, async () => {
    using place = new Place();
    await place.layers(members);
    assertEquals(place.list(), expected.sort());
  });
}

const loops: [what: string, members: Bytes[]][] = [
  ["itself", [symlink("a", "a"), file("a/b")]],
  ["something in itself", [symlink("a", "a/x"), file("a/b")]],
  ["itself by way of what is missing", [symlink("a", "x/../a"), file("a/b")]],
  ["one that leads back", [symlink("a", "b/x"), symlink("b", "a/x"), file("a/c")]],
];
for (const [what, members] of loops) {
  Deno.test(`folders: a symlink to ${what} is refused as a parent`, async () => {
    using place = new Place();
    await assertRejects(() => place.layers(members), EnrootError, "too many symlinks");
  });
}

Deno.test("folders: one behind symlinks that is too deep for the kernel is refused", async () => {
  using place = new Place();
  const half = "d/".repeat(1200);
  await assertRejects(
    () =>
      place.layers([
        ...[rawPax({ path: `${half}f` }), file("f"), rawPax({ linkpath: half }), symlink("l", "x")],
        ...[rawPax({ path: `l/${half}f` }), file("f")],
      ]),
    EnrootError,
    "too long",
  );
});

Deno.test("folders: 1,500 inside each other take no more descriptors than one", async () => {
  using place = new Place();
  const deep = "d/".repeat(1500);
  for (const name of ["made", "found"]) {
    const tar = rawArchive(rawPax({ path: `${deep}${name}` }), file("f"), file(".wh.nothing"));
    const output = await applyApart(place, ["prlimit", "--nofile=100:100"], tar);
    assertEquals(JSON.parse(output).summary?.entries, 2, output);
  }
});

Deno.test("folders: a layer that is refused leaves no descriptor open", async () => {
  using place = new Place();
  const count = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  await place.layers([file("a/b/c/d/e")]);
  const before = count();
  for (let round = 0; round < 20; round++) {
    await assertRejects(() => place.layers([file("a/b/c/d/e/f")]), EnrootError, "not a folder");
    await assertRejects(
      () => place.layers([file("a/b/x"), file(`a/b/${"n".repeat(90)}/y`), hardlink("z", "no")]),
      EnrootError,
      "not there",
    );
  }
  assert(count() <= before, `${before} descriptors before, ${count()} after`);
});

Deno.test({
  name: "folders: a root user whom modes hold back fills folders without permissions",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using place = new Place();
    const wrap = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    const first = rawArchive(folder("d", 0), folder("d/s"), file("d/s/f", "1"), folder("d/s/0", 0));
    for (const tar of [first, rawArchive(file("d/s/g", "2"), file("d/s/0/h", "3"))]) {
      assertStringIncludes(await applyApart(place, wrap, tar), "entries");
    }
    assertEquals(place.list(), ["d/", "d/s/", "d/s/0/", "d/s/0/h=3", "d/s/f=1", "d/s/g=2"]);
    assertEquals([facts(place, "d"), facts(place, "d/s/0")], ["0 @5", "0 @5"]);
  },
});
