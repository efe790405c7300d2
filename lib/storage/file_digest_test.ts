import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { digestOfFile } from "./file_digest.ts";

const of = {
  a: "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
  b: "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
};

async function inFolder(
  body: (folder: string, digest: () => Promise<{ digest: string; read: number }>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder, async () => {
      let read = 0;
      const digest = await digestOfFile(`${folder}/file`, {
        memory: `${folder}/memory`,
        signal: new AbortController().signal,
        onProgress: (done) => read = done,
      });
      return { digest, read };
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_100));

Deno.test("a file that has rested is hashed once, and again when anything about it changed", () =>
  inFolder(async (folder, digest) => {
    await Deno.writeTextFile(`${folder}/file`, "a");
    await settle();
    assertEquals(await digest(), { digest: of.a, read: 1 });
    assertEquals(await digest(), { digest: of.a, read: 0 });
    const { mtime } = await Deno.stat(`${folder}/file`);
    assert(mtime !== null);
    await Deno.writeTextFile(`${folder}/file`, "b");
    // The same size, and the same time of modification: only the kernel's own time tells.
    await Deno.utime(`${folder}/file`, mtime, mtime);
    assertEquals(await digest(), { digest: of.b, read: 1 });
  }));

Deno.test("what was kept is not believed when it is no digest", () =>
  inFolder(async (folder, digest) => {
    await Deno.writeTextFile(`${folder}/file`, "a");
    await settle();
    await digest();
    for (const { name } of Deno.readDirSync(`${folder}/memory`)) {
      const path = `${folder}/memory/${name}`;
      const [identity] = (await Deno.readTextFile(path)).split("\n");
      await Deno.writeTextFile(path, `${identity}\n../../etc\n`);
    }
    assertEquals(await digest(), { digest: of.a, read: 1 });
  }));

Deno.test("a file that is not there is named", () =>
  inFolder(async (_folder, digest) => {
    const error = await assertRejects(digest, EnrootError);
    assertEquals(error.code, "cannot-read");
  }));
