import { assertEquals } from "@std/assert";
import { folder, Place } from "../../tests/support/layer_place.ts";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { AT, close, E, must, O, openAt, setXattr } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";
import { Births } from "./births.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const modes = [
  0o644,
  0o600,
  0o755,
  0o664,
  0o666,
  0o444,
  0o400,
  0o4755,
  0o2755,
  0o1644,
  0o777,
  0o711,
];

/** Two files of each mode: the second is made with what is known from the first. */
function files(prefix = ""): Bytes[] {
  return [1, 2].flatMap((turn) =>
    modes.map((mode) => rawMember({ name: `${prefix}f${mode}-${turn}`, mode, content: "x" }))
  );
}

/** The modes of those files. */
function modesIn(place: Place, prefix = ""): number[] {
  return [1, 2].flatMap((turn) =>
    modes.map((mode) => (place.stat(`${prefix}f${mode}-${turn}`).mode ?? 0) & 0o7777)
  );
}

Deno.test("births: only the first file with a mode is looked at", () => {
  const births = new Births();
  let looks = 0;
  const look = (mode: number) => (): { mode: number; uid: number; gid: number } => {
    looks++;
    return { mode: 0o100000 | mode, uid: 1, gid: 2 };
  };
  const expected = { mode: 0o640, uid: 1, gid: 2 };
  assertEquals(births.of(0o644, look(0o640)), expected);
  assertEquals(births.of(0o644, look(0o777)), expected);
  assertEquals(births.of(0o600, look(0o600)), { ...expected, mode: 0o600 });
  assertEquals(looks, 2);
});

for (const umask of [0o000, 0o022, 0o077, 0o777]) {
  Deno.test(`births: with the umask 0${umask.toString(8)} every file gets its mode`, async () => {
    using place = new Place();
    const before = Deno.umask(umask);
    try {
      await place.layers([folder("d"), ...files("d/")], [...files("d/"), ...files()]);
    } finally {
      Deno.umask(before);
    }
    const expected = [...modes, ...modes];
    assertEquals([modesIn(place, "d/"), modesIn(place)], [expected, expected]);
  });
}

/** `system.posix_acl_default`, which gives files that are made no more than `r` for the group. */
const defaultAcl = new Uint8Array([
  ...[2, 0, 0, 0],
  // Tag, permissions, and no ID: the owner, the group, the others.
  ...[0x01, 0, 7, 0, 255, 255, 255, 255],
  ...[0x04, 0, 4, 0, 255, 255, 255, 255],
  ...[0x20, 0, 0, 0, 255, 255, 255, 255],
]);

Deno.test("births: a folder's default ACL takes nothing from a file's mode", async () => {
  using place = new Place();
  const root = must(openAt(AT.FDCWD, cstring(place.root), O.RDONLY), "open", place.root);
  try {
    const set = setXattr(root, cstring("system.posix_acl_default"), defaultAcl);
    // Where the file system has none there is nothing that could go wrong.
    if (set !== -E.OPNOTSUPP) must(set, "setxattr", place.root);
  } finally {
    close(root);
  }
  await place.layers(files());
  assertEquals(modesIn(place), [...modes, ...modes]);
});

Deno.test("births: files of others, and in folders that hand down their group, get their owner", async () => {
  using place = new Place();
  // A plain user's files are his, and of the group that the folder hands down.
  const isRoot = Deno.uid() === 0;
  const ownership = isRoot ? "numeric" : "caller";
  const owned = (name: string, uid: number, gid: number, mode = 0o644): Bytes[] => [
    rawPax({ uid: `${uid}`, gid: `${gid}` }),
    rawMember({ name, mode, content: "x" }),
  ];
  const group = isRoot ? 54_321 : Deno.gid() ?? 0;
  await place.apply(
    rawArchive(rawPax({ uid: "0", gid: `${group}` }), folder("d", 0o2775)),
    { ownership },
  );
  await place.apply(
    rawArchive(
      ...[1, 2].flatMap((turn) => [
        ...owned(`d/root${turn}`, 0, 0),
        ...owned(`d/group${turn}`, 0, group),
        ...owned(`d/other${turn}`, 12_345, 54_321, 0o4755),
        ...owned(`d/plain${turn}`, 12_345, 0),
      ]),
    ),
    { ownership },
  );
  for (const turn of [1, 2]) {
    const seen = ["root", "group", "other", "plain"].map((name) => {
      const { uid, gid, mode } = place.stat(`d/${name}${turn}`);
      return [uid, gid, (mode ?? 0) & 0o7777];
    });
    const own = [Deno.uid(), group];
    assertEquals(
      seen,
      isRoot
        ? [[0, 0, 0o644], [0, group, 0o644], [12_345, 54_321, 0o4755], [12_345, 0, 0o644]]
        : [[...own, 0o644], [...own, 0o644], [...own, 0o4755], [...own, 0o644]],
    );
  }
});
