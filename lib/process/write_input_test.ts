import { assert, assertEquals, assertRejects } from "@std/assert";
import { CommandError } from "./run.ts";
import { writeInput } from "./write_input.ts";

const never = new AbortController().signal;
const environment = { PATH: "/usr/bin:/bin" };

async function* pieces(count: number, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at++) yield await Promise.resolve(new Uint8Array(size).fill(at));
}

Deno.test("a program gets all that the source yields, in order", async () => {
  const file = await Deno.makeTempFile();
  try {
    const argv = ["sh", "-c", 'exec cat > "$0"', file];
    const isAll = await writeInput(argv, pieces(50, 100_000), { signal: never, environment });
    assertEquals(isAll, true);
    const bytes = await Deno.readFile(file);
    assertEquals([bytes.length, bytes[0], bytes[2_500_000], bytes.at(-1)], [5_000_000, 0, 25, 49]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("what the program has taken is not kept in memory", async () => {
  const before = Deno.memoryUsage().rss;
  const argv = ["sh", "-c", "exec cat >/dev/null"];
  await writeInput(argv, pieces(2000, 262_144), { signal: never, environment });
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < 200_000_000, `${grown} bytes more for a stream of 524288000`);
});

Deno.test("a program that ends early is told by its exit code, and the source is left alone", async () => {
  let asked = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;; asked++) yield await Promise.resolve(new Uint8Array(65536));
  }
  const argv = ["sh", "-c", "head -c 1000 >/dev/null; echo no more >&2; exit 3"];
  const error = await assertRejects(
    () => writeInput(argv, endless(), { signal: never, environment }),
    CommandError,
    "no more",
  );
  assertEquals(error.exitCode, 3);
  const until = asked;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(asked, until);
});

Deno.test("a program that has enough before the end is told from one that took all", async () => {
  const argv = ["sh", "-c", "head -c 100000 >/dev/null"];
  const options = { signal: never, environment };
  assertEquals(await writeInput(argv, pieces(100, 100_000), options), false);
  assertEquals(await writeInput(argv, pieces(1, 100_000), options), true);
});

Deno.test("a program that ends while the source has nothing yet is noticed", async () => {
  const silent: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  };
  await assertRejects(
    () => writeInput(["false"], silent, { signal: never, environment }),
    CommandError,
  );
});

Deno.test("a source that fails ends the input, and its failure is what is thrown", async () => {
  const file = await Deno.makeTempFile();
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(new TextEncoder().encode("begin"));
    throw new Error("cut");
  }
  try {
    const argv = ["sh", "-c", 'cat > "$0"; echo end >> "$0"; exit 1', file];
    await assertRejects(
      () => writeInput(argv, failing(), { signal: never, environment }),
      Error,
      "cut",
    );
    assertEquals(await Deno.readTextFile(file), "beginend\n");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the signal ends the program, whether or not there is something to read", async () => {
  for (const source of [pieces(1, 10), pieces(10_000, 65536)]) {
    const abort = new AbortController();
    const fed = writeInput(["sleep", "30"], source, { signal: abort.signal, environment });
    setTimeout(() => abort.abort(new Error("enough")), 50);
    await assertRejects(() => fed, Error, "enough");
  }
});
