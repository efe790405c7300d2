import { assertEquals, assertThrows } from "@std/assert";
import { AT, close, closeWritten, E, must, O, openAt, openInRoot } from "./at.ts";
import { cstring, SysError } from "./libc.ts";
import { removeTree } from "./remove_tree.ts";

Deno.test("closing a file that was written tells what close(2) says, once", () => {
  const file = must(openAt(AT.FDCWD, cstring("/dev/null"), O.WRONLY), "open", "/dev/null");
  assertEquals(closeWritten(file), 0);
  assertEquals(closeWritten(file), -E.BADF);
  const error = assertThrows(() => must(closeWritten(-1), "close", "a file"), SysError);
  assertEquals(error.message, "a file: Bad file descriptor (close)");
});

Deno.test("a path with `..` is opened while somebody renames files elsewhere", async () => {
  const folder = await Deno.makeTempDir();
  // Another thread, for the kernel counts the renames of all processes together.
  const body = `self.onmessage = ({ data }) => {
    for (const end = Date.now() + 20_000; Date.now() < end && new Int32Array(data.word)[0] === 0;) {
      Deno.renameSync(data.a, data.b);
      Deno.renameSync(data.b, data.a);
      Atomics.add(new Int32Array(data.word), 1, 1);
    }
    self.postMessage("done");
  }`;
  const url = `data:text/javascript,${encodeURIComponent(body)}`;
  const workers = [0, 1].map(() => new Worker(url, { type: "module" }));
  const words = workers.map(() => new Int32Array(new SharedArrayBuffer(8)));
  try {
    const ended = workers.map((worker, index) => {
      const [a, b] = [`${folder}/a${index}`, `${folder}/b${index}`];
      Deno.writeTextFileSync(a, "");
      worker.postMessage({ a, b, word: words[index]?.buffer });
      return new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
    });
    Deno.mkdirSync(`${folder}/d/e`, { recursive: true });
    const root = must(openAt(AT.FDCWD, cstring(folder), O.PATH), "open", folder);
    const path = cstring(`d${"/e/..".repeat(40)}`);
    const answers = new Map<number, number>();
    const begun = words.map((word) => Atomics.load(word, 1));
    for (let count = 0; count < 20_000; count++) {
      const result = openInRoot(root, path, O.PATH);
      if (result >= 0) close(result);
      answers.set(Math.min(result, 0), (answers.get(Math.min(result, 0)) ?? 0) + 1);
    }
    close(root);
    const renames = words.map((word, index) => Atomics.load(word, 1) - (begun[index] ?? 0));
    for (const word of words) Atomics.store(word, 0, 1);
    await Promise.all(ended);
    assertEquals([...answers], [[0, 20_000]]);
    assertEquals(renames.every((count) => count > 100), true, `renames: ${renames}`);
  } finally {
    for (const worker of workers) worker.terminate();
    removeTree(folder);
  }
});
