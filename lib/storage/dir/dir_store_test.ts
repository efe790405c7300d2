import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { storageSuite, type TestStore } from "../../../tests/storage_suite.ts";
import { run } from "../../../tests/support/command.ts";
import { EnrootError } from "../../errors.ts";
import { parseContainerName } from "../container_name.ts";
import { DirStore } from "./dir_store.ts";

interface DirTestStore extends TestStore {
  readonly path: string;
  readonly store: DirStore;
  readonly again: DirStore;
  readonly warnings: readonly string[];
}

async function open(): Promise<DirTestStore> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/data/enroot`;
  const warnings: string[] = [];
  const options = { warn: (message: string): void => void warnings.push(message) };
  return {
    path,
    store: new DirStore(path, options),
    again: new DirStore(path, options),
    warnings,
    leftovers: () => Promise.resolve(namesIn(`${path}/.staging`)),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

storageSuite("dir", open);

Deno.test("dir store: the data folder is closed to other users", async () => {
  await using test = await open();
  await using _template = await test.store.obtainTemplate({ build: () => Promise.resolve() });
  assertEquals(modeOf(test.path), 0o700);
});

Deno.test("dir store: a data folder that was open to other users is closed, and that is said once", async () => {
  for (const mode of [0o755, 0o711, 0o2770]) {
    await using test = await open();
    await Deno.mkdir(test.path, { recursive: true });
    await Deno.chmod(test.path, mode);
    for (const store of [test.store, test.again]) {
      await using _template = await store.obtainTemplate({
        build: () => Promise.resolve(assertEquals(modeOf(test.path), 0o700)),
      });
    }
    assertEquals(test.warnings.length, 1);
    assertStringIncludes(test.warnings[0] ?? "", test.path);
  }
});

Deno.test("dir store: an open folder that holds other things is not closed, and not used either", async () => {
  await using test = await open();
  await Deno.mkdir(`${test.path}/other`, { recursive: true });
  await Deno.chmod(test.path, 0o755);
  const error = await assertRejects(
    () => test.store.obtainTemplate({ build: () => Promise.resolve() }),
    EnrootError,
    "chmod 700",
  );
  assertEquals([error.code, modeOf(test.path)], ["open-store", 0o755]);
  assertEquals(namesIn(test.path), ["other"]);
});

// Only root can give a folder away.
Deno.test({
  name: "dir store: nothing is put into a data folder of another user, who could reach it",
  ignore: Deno.uid() !== 0,
  async fn() {
    await using test = await open();
    await Deno.mkdir(test.path, { recursive: true, mode: 0o700 });
    await Deno.chown(test.path, 4242, 4242);
    let isBuilt = false;
    const error = await assertRejects(
      () => test.store.obtainTemplate({ build: () => Promise.resolve(void (isBuilt = true)) }),
      EnrootError,
      test.path,
    );
    assertEquals([error.code, isBuilt], ["not-owner", false]);
    assertEquals(namesIn(test.path), []);
  },
});

// Mounting takes root, or a namespace of one's own.
Deno.test({
  name:
    "dir store: on a mount without set-id a data folder is left as it is, whoever it belongs to",
  ignore: Deno.uid() !== 0,
  async fn() {
    await using test = await open();
    await Deno.mkdir(test.path, { recursive: true });
    await run(["mount", "-t", "tmpfs", "-o", "nosuid,mode=755,uid=4242", "tmpfs", test.path]);
    try {
      await using _template = await test.store.obtainTemplate({ build: () => Promise.resolve() });
      assertEquals([modeOf(test.path), test.warnings.length], [0o755, 0]);
    } finally {
      await run(["umount", test.path]);
    }
  },
});

Deno.test("dir store: a root folder that its owner may not write is moved all the same", async () => {
  await using test = await open();
  await using template = await test.store.obtainTemplate({
    build: (root) => Deno.chmod(root, 0o555),
  });
  const container = await test.store.createContainer(parseContainerName("x"), template, {
    replace: false,
  });
  assertEquals(modeOf(container.path), 0o555);
});

Deno.test("dir store: what a killed process left is removed by the next, what is in use is not", async () => {
  await using test = await open();
  await using _inUse = await test.store.obtainTemplate({ build: () => Promise.resolve() });
  const [kept] = namesIn(`${test.path}/.staging`);
  assert(kept !== undefined);

  const dead = `${test.path}/.staging/s.dead`;
  await Deno.mkdir(`${dead}/content`, { recursive: true });
  await Deno.chmod(dead, 0o700);
  await Deno.writeTextFile(`${dead}/lock`, "");
  {
    await using _next = await test.again.obtainTemplate({ build: () => Promise.resolve() });
    const names = namesIn(`${test.path}/.staging`);
    assertEquals(names.length, 2);
    assert(names.includes(kept) && !names.includes("s.dead"));
  }
});

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}
