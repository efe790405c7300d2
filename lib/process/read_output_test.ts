import { assert, assertEquals, assertRejects } from "@std/assert";
import { readOutput } from "./read_output.ts";
import { CommandError } from "./run.ts";

const never = new AbortController().signal;

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<number[]> {
  const all: number[] = [];
  for await (const part of bytes) all.push(...part);
  return all;
}

Deno.test("bytes come as the program writes them, whatever they are", async () => {
  await using output = readOutput(["printf", String.raw`\000\377\n`], { signal: never });
  assertEquals(await collect(output.bytes), [0, 255, 10]);
});

Deno.test("a program that fails is an error at the end of its output, with its own words", async () => {
  const argv = ["sh", "-c", "printf ab; echo no luck >&2; exit 3"];
  await using output = readOutput(argv, { signal: never });
  const seen: number[] = [];
  const error = await assertRejects(async () => {
    for await (const part of output.bytes) seen.push(...part);
  }, CommandError);
  assertEquals(seen, [97, 98]);
  assertEquals([error.exitCode, error.stderr], [3, "no luck\n"]);
});

for (const isRead of [false, true]) {
  Deno.test(`a program that is let go of is ended${isRead ? " in the middle" : ""}`, async () => {
    const started = Date.now();
    let pid = 0;
    {
      await using output = readOutput(["sh", "-c", "echo $$; exec cat /dev/zero"], {
        signal: never,
      });
      if (isRead) {
        for await (const part of output.bytes) {
          pid = Number.parseInt(new TextDecoder().decode(part));
          break;
        }
      }
    }
    assert(Date.now() - started < 20_000);
    if (isRead) await assertRejects(() => Deno.stat(`/proc/${pid}/stat`), Deno.errors.NotFound);
  });
}

Deno.test("the signal ends the program, and is the reason", async () => {
  const stop = new AbortController();
  await using output = readOutput(["sleep", "1000"], { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 50);
  await assertRejects(() => collect(output.bytes), Error, "enough");
});

Deno.test("the environment is the one that is given", async () => {
  const environment = { PATH: "/usr/bin:/bin", A: "b" };
  await using output = readOutput(["env"], { signal: never, environment });
  const text = new TextDecoder().decode(new Uint8Array(await collect(output.bytes)));
  assertEquals(text.trim().split("\n").sort(), ["A=b", "LC_ALL=C", "PATH=/usr/bin:/bin"]);
});
