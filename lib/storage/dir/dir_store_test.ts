import { assert, assertEquals } from "@std/assert";
import { storageSuite, type TestStore } from "../../../tests/storage_suite.ts";
import { parseContainerName } from "../container_name.ts";
import { DirStore } from "./dir_store.ts";

async function open(): Promise<TestStore & { path: string; store: DirStore; again: DirStore }> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/data/enroot`;
  return {
    path,
    store: new DirStore(path),
    again: new DirStore(path),
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
