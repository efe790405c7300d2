import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { close, flock } from "../../sys/at.ts";
import { tryLockKey } from "./key_lock.ts";
import { StoreFolder } from "./store_folder.ts";

interface Places {
  readonly store: string;
  readonly folder: StoreFolder;
  /** A file of somebody else's. */
  readonly other: string;
}

async function inStore(body: (places: Places) => void | Promise<void>): Promise<void> {
  const top = await Deno.makeTempDir();
  try {
    const [store, other] = [`${top}/store`, `${top}/other`];
    await Deno.mkdir(store);
    await Deno.writeTextFile(other, "secret\nword\n");
    await body({ store, other, folder: new StoreFolder(store, ".locks") });
    assertEquals(await Deno.readTextFile(other), "secret\nword\n");
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

Deno.test("a folder of locks that is not there has nothing in it, and is made once", () =>
  inStore(({ folder, store }) => {
    assertEquals(folder.names(), []);
    assertEquals([folder.has("a"), folder.changed("a"), folder.read("a")], [
      false,
      undefined,
      undefined,
    ]);
    folder.remove("a");
    folder.ensure();
    folder.ensure();
    assertEquals((Deno.statSync(`${store}/.locks`).mode ?? 0) & 0o777, 0o700);
  }));

Deno.test("marks are written, read, dated and removed", () =>
  inStore(({ folder, store }) => {
    folder.ensure();
    folder.write("mark", "a longer text\n");
    folder.write("mark", "text\n");
    assertEquals([folder.read("mark"), folder.names(), folder.has("mark")], [
      "text\n",
      ["mark"],
      true,
    ]);
    Deno.utimeSync(`${store}/.locks/mark`, 0, 0);
    assertEquals(folder.changed("mark")?.getTime(), 0);
    folder.write("mark", "text\n");
    assertEquals((folder.changed("mark")?.getTime() ?? 0) > 0, true);
    folder.remove("mark");
    assertEquals(folder.names(), []);
  }));

Deno.test("a lock that was made is held by what was started meanwhile, until that has ended", () =>
  inStore(async ({ folder }) => {
    folder.ensure();
    const lock = folder.make("k");
    const lockNow = 6;
    assertEquals(flock(lock, lockNow), 0);
    const child = new Deno.Command("sh", { args: ["-c", "read x"], stdin: "piped" }).spawn();
    close(lock);
    assertEquals(tryLockKey(folder, "k"), undefined);
    await child.stdin.close();
    await child.status;
    tryLockKey(folder, "k")?.[Symbol.dispose]();
    assertEquals(folder.names(), []);
  }));

Deno.test("a lock that others make and remove all the time is taken, or is not, and that is all", () =>
  inStore(async ({ folder }) => {
    folder.ensure();
    const script = "for (;;) { open F, '>', $ARGV[0]; unlink $ARGV[0] }";
    const args = ["-e", script, folder.describe("k")];
    const child = new Deno.Command("perl", { args }).spawn();
    try {
      let taken = 0;
      for (const end = Date.now() + 1000; Date.now() < end;) {
        const lock = tryLockKey(folder, "k");
        lock?.[Symbol.dispose]();
        if (lock !== undefined) taken++;
      }
      assert(taken > 0);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  }));

/** What a user may have put where root is to find a lock. */
const traps: Readonly<Record<string, (path: string, other: string) => void>> = {
  "a symlink to a file": (path, other) => Deno.symlinkSync(other, path),
  "a symlink to nothing": (path, other) => Deno.symlinkSync(`${other}-new`, path),
  "another name of a file": (path, other) => Deno.linkSync(other, path),
  "a pipe": (path) => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
  "a folder": (path) => Deno.mkdirSync(path),
};
for (const [what, lay] of Object.entries(traps)) {
  Deno.test(`${what} in the place of a lock is refused, and left alone`, () =>
    inStore(({ folder, store, other }) => {
      folder.ensure();
      lay(`${store}/.locks/k`, other);
      for (
        const use of [
          () => folder.write("k", "mine"),
          () => folder.read("k"),
          () => tryLockKey(folder, "k"),
          () => folder.make("k"),
        ]
      ) assertThrows(use, EnrootError, "cannot ");
      assertEquals([folder.has("k"), folder.names()], [true, ["k"]]);
      assertThrows(() => Deno.lstatSync(`${other}-new`), Deno.errors.NotFound);
    }));
}

Deno.test("a symlink in the place of the folder itself is refused", () =>
  inStore(({ folder, store, other }) => {
    const elsewhere = `${other}-folder`;
    Deno.mkdirSync(elsewhere);
    Deno.symlinkSync(elsewhere, `${store}/.locks`);
    for (
      const use of [
        () => folder.ensure(),
        () => folder.names(),
        () => folder.has("k"),
        () => folder.write("k", ""),
        () => folder.make("k"),
        () => folder.remove("k"),
      ]
    ) assertThrows(use, EnrootError, `cannot use ${store}/.locks`);
    assertEquals([...Deno.readDirSync(elsewhere)], []);
  }));
