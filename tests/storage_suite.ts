/**
 * What every store must do, whatever it is built on: one suite for all backends.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../lib/errors.ts";
import { parseContainerName } from "../lib/storage/container_name.ts";
import type { Container, Store, Template } from "../lib/storage/store.ts";

/** A store that is empty, with what the suite needs to look behind it. */
export interface TestStore extends AsyncDisposable {
  readonly store: Store;
  /** A second view of the same store, as another process would open it. */
  readonly again: Store;
  /** Names of everything that was left half-made: working folders, temporary datasets. */
  leftovers(): Promise<string[]>;
}

const never = new AbortController().signal;
const name = parseContainerName("first");

/** Register the suite's tests. */
export function storageSuite(backend: string, open: () => Promise<TestStore>): void {
  const test = (what: string, body: (test: TestStore) => Promise<void>): void =>
    Deno.test(`${backend} store: ${what}`, async () => {
      await using each = await open();
      await body(each);
      assertEquals(await each.leftovers(), []);
    });

  test("an empty store has no containers and makes nothing by being asked", async ({ store }) => {
    assertEquals(await store.containers(), []);
    assertEquals(await store.container(name), undefined);
    assertEquals(await store.hasContainer(name), false);
  });

  test("a container has what its template was given, and is seen by others", async (each) => {
    const made = await build(each.store, "content");
    assertEquals(await contentOf(made), "content");
    assertEquals(made.name, name);
    const seen = await each.again.container(name);
    assertEquals(seen?.path, made.path);
    assertEquals((await each.again.containers()).map((container) => container.name), [name]);
  });

  test("a template that cannot be built leaves nothing, and the reason comes through", async ({ store }) => {
    const error = await assertRejects(() =>
      obtain(store, "content", async (root) => {
        await Deno.writeTextFile(`${root}/file`, "half");
        throw new Error("the source broke");
      })
    );
    assertEquals(error instanceof Error && error.message, "the source broke");
    assertEquals(await store.containers(), []);
    const container = await build(store, "content");
    assertEquals(await contentOf(container), "content");
  });

  test("a template in the making is in nobody's way and seen by nobody", async (each) => {
    await using _template = await obtain(each.store, "content", async (root) => {
      await Deno.writeTextFile(`${root}/file`, "half");
      assertEquals(await each.again.containers(), []);
      assertEquals((await build(each.again, "other")).name, name);
    });
  });

  test("a template that no container was made of is let go of", async ({ store }) => {
    await using _template = await obtain(store, "content");
  });

  test("of many that want one image at once, all get it whole", async (each) => {
    const names = Array.from({ length: 4 }, (_, index) => parseContainerName(`c${index}`));
    let built = 0;
    await Promise.all(names.map(async (one, index) => {
      const store = index % 2 === 0 ? each.store : each.again;
      await using template = await obtain(store, "content", async (root) => {
        built++;
        await Deno.writeTextFile(`${root}/file`, "half");
        await new Promise((resolve) => setTimeout(resolve, 200));
        await Deno.writeTextFile(`${root}/file`, "content");
      });
      const container = await store.createContainer(one, template, { replace: false });
      assertEquals(await contentOf(container), "content");
    }));
    assertEquals(built, each.store.capabilities.keepsTemplates ? 1 : names.length);
  });

  test("containers of one template do not see what is written in the other", async ({ store }) => {
    const [one, two] = [parseContainerName("one"), parseContainerName("two")];
    const containers: Container[] = [];
    for (const each of [one, two]) {
      await using template = await obtain(store, "content");
      containers.push(await store.createContainer(each, template, { replace: false }));
    }
    for (const [index, { path }] of containers.entries()) {
      await Deno.writeTextFile(`${path}/file`, String(index));
    }
    assertEquals(await Promise.all(containers.map(contentOf)), ["0", "1"]);
  });

  test("a taken name is refused, and the container under it stays", async ({ store }) => {
    await build(store, "old");
    const error = await assertRejects(() => build(store, "new"), EnrootError);
    assertEquals(error.code, "exists");
    const container = await store.container(name);
    assert(container !== undefined);
    assertEquals(await contentOf(container), "old");
  });

  test("a container is replaced when asked for", async ({ store }) => {
    await build(store, "old");
    const container = await build(store, "new", true);
    assertEquals(await contentOf(container), "new");
    assertEquals((await store.containers()).length, 1);
  });

  test("of many that make one name at once, exactly one does", async ({ store }) => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => build(store, String(index))),
    );
    assertEquals(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assertEquals(outcome.reason.code, "exists");
    }
  });

  test("a container whose folders its owner may not write is removed whole", async ({ store }) => {
    const container = await build(store, "content");
    await Deno.mkdir(`${container.path}/closed/inner`, { recursive: true });
    await Deno.writeTextFile(`${container.path}/closed/inner/file`, "");
    await Deno.chmod(`${container.path}/closed/inner`, 0o555);
    await Deno.chmod(`${container.path}/closed`, 0o000);
    await Deno.chmod(container.path, 0o555);
    await store.removeContainer(name);
    assertEquals(await store.container(name), undefined);
  });

  test("removing what is not there says so", async ({ store }) => {
    const error = await assertRejects(() => store.removeContainer(name), EnrootError);
    assertEquals(error.code, "not-found");
  });

  test("names of every kind come back as they were given, sorted", async ({ store }) => {
    const names = ["a b", "busybox+latest", "x".repeat(128), "é", "A", "a:b%c"];
    for (const each of names) {
      await using template = await obtain(store, "content");
      await store.createContainer(parseContainerName(each), template, { replace: false });
    }
    const listed = (await store.containers()).map((container): string => container.name);
    assertEquals(listed, names.toSorted((a, b) => a < b ? -1 : 1));
    for (const each of names) await store.removeContainer(parseContainerName(each));
    assertEquals(await store.containers(), []);
  });

  function obtain(
    store: Store,
    content: string,
    fill = (root: string): Promise<void> => Deno.writeTextFile(`${root}/file`, content),
  ): Promise<Template> {
    // An id stands for its content.
    const id = [...new TextEncoder().encode(content.padEnd(32, "."))]
      .map((byte) => byte.toString(16)).join("").slice(0, 64);
    return store.obtainTemplate({ id, provenance: {}, signal: never, build: fill });
  }

  async function build(store: Store, content: string, replace = false): Promise<Container> {
    await using template = await obtain(store, content);
    return await store.createContainer(name, template, { replace });
  }

  async function contentOf(container: Container): Promise<string> {
    return await Deno.readTextFile(`${container.path}/file`);
  }
}
