import { assert, assertEquals, assertRejects } from "@std/assert";
import { run } from "../../tests/support/command.ts";
import { file, folder, Place } from "../../tests/support/layer_place.ts";
import { readableTree } from "../../tests/support/readable_tree.ts";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import { AT, close, must, O, openAt, setXattr } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Apply a layer as a plain user, whatever user the test has. */
async function applyAsUser(place: Place, tar: Bytes): Promise<Record<string, unknown>> {
  const { file: { path } } = await place.request(tar);
  const tree = await readableTree();
  const script = `${tree.path}/tests/support/apply_layer_main.ts`;
  const argv = [tree.deno, "run", "-A", "--no-check", "--no-lock", script, place.root, path];
  if (Deno.uid() === 0) {
    for (const each of [place.top, place.root]) await Deno.chown(each, 12345, 12345);
    await Deno.chmod(place.top, 0o755);
    argv.unshift("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups");
  }
  const { code, message, summary } = JSON.parse(
    await run(argv, { env: { DENO_DIR: `${place.top}/deno`, HOME: place.top } }),
  );
  return code === undefined ? summary : { code, message };
}

/** Whether the file system of a folder keeps `user.*` attributes. */
function keepsXattrs(folder: string): boolean {
  const descriptor = must(openAt(AT.FDCWD, cstring(folder), O.RDONLY), "open", folder);
  try {
    return setXattr(descriptor, cstring("user.probe"), new Uint8Array([1])) >= 0;
  } finally {
    close(descriptor);
  }
}

const withXattr = (member: Bytes, name: string, value: string): Bytes[] => [
  ...[rawPax({ [`SCHILY.xattr.${name}`]: value }), member],
];

Deno.test("metadata: a plain user's read-only files and folders get their attributes", async () => {
  using place = new Place();
  const kept = keepsXattrs(place.outside);
  const summary = await applyAsUser(
    place,
    rawArchive(
      ...withXattr(rawMember({ name: "f", mode: 0o444, content: "x" }), "user.k", "file"),
      ...withXattr(folder("d", 0o555), "user.k", "folder"),
      file("d/in", "y"),
    ),
  );
  assertEquals([summary["entries"], summary["skippedXattrs"]], [3, kept ? 0 : 2]);
  if (kept) {
    const argv = ["getfattr", "--only-values", "--absolute-names", "-n", "user.k"];
    assertEquals(
      await Promise.all(["f", "d"].map((name) => run([...argv, `${place.root}/${name}`]))),
      ["file", "folder"],
    );
  }
  assertEquals(["f", "d"].map((name) => (place.stat(name).mode ?? 0) & 0o777), [0o444, 0o555]);
});

const impossible: [what: string, name: string, value: string][] = [
  ["longer than any file system takes", "user.k", "v".repeat(70_000)],
  ["with a name that is too long", `user.${"k".repeat(300)}`, "v"],
];
for (const [what, name, value] of impossible) {
  Deno.test(`metadata: an attribute ${what} is left out and counted`, async () => {
    using place = new Place();
    const summary = await applyAsUser(
      place,
      rawArchive(
        ...withXattr(file("f", "x"), name, value),
        ...withXattr(folder("d"), name, value),
      ),
    );
    assertEquals([summary["entries"], summary["skippedXattrs"]], [2, 2]);
    assertEquals(place.list(), ["d/", "f=x"]);
  });
}

Deno.test("metadata: attributes that a file system has no room for are left out and counted", async () => {
  using place = new Place();
  const many = Object.fromEntries(
    Array.from({ length: 12 }, (_, index) => [
      `SCHILY.xattr.user.${index}`,
      "v".repeat(60_000),
    ]),
  );
  // ext4 and XFS have no room for them, tmpfs and ZFS may: either way the file is there.
  const summary = await applyAsUser(place, rawArchive(rawPax(many), file("f", "x")));
  assertEquals([summary["code"], summary["entries"]], [undefined, 1]);
  assertEquals(place.list(), ["f=x"]);
});

Deno.test("metadata: of folders, attributes that cannot be set are not kept until the end", async () => {
  using place = new Place();
  const value = "v".repeat(200_000);
  const members = Array.from({ length: 120 }, (_, index) => [
    ...withXattr(folder(`a${index}`), "user.k", value),
    ...withXattr(folder(`b${index}`), "security.k", "v".repeat(60_000)),
    ...withXattr(folder(`c${index}`), "security.k", "v".repeat(60_000)),
    ...withXattr(folder(`d${index}`), "security.k", "v".repeat(60_000)),
  ]).flat();
  // Twice as much as may be kept, had they been kept.
  assertEquals((await place.apply(rawArchive(...members))).skippedXattrs, 480);
});

Deno.test("metadata: of folders, more attributes than memory should hold are refused", async () => {
  using place = new Place();
  const members = Array.from(
    { length: 300 },
    (_, index) => withXattr(folder(`d${index}`), "user.k", "v".repeat(60_000)),
  ).flat();
  const error = await assertRejects(
    () => place.apply(rawArchive(...members)),
    EnrootError,
    "attributes",
  );
  assert(/'d2\d\d'/.test(error.message), error.message);
  const again = Array.from(
    { length: 300 },
    () => withXattr(folder("d"), "user.k", "v".repeat(60_000)),
  ).flat();
  assertEquals((await place.apply(rawArchive(...again))).entries, 300);
});

for (const uid of ["4294967295", "4294967296", "9007199254740991"]) {
  Deno.test({
    name: `metadata: an owner of ${uid} is refused where owners are kept`,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      for (const member of [file("f", "x"), folder("d"), rawMember({ name: "p", type: "6" })]) {
        for (const key of ["uid", "gid"]) {
          using place = new Place();
          const tar = rawArchive(rawPax({ [key]: uid }), member);
          const refused = () => place.apply(tar, { ownership: "numeric" });
          await assertRejects(refused, EnrootError, "owner of");
        }
      }
    },
  });
}
