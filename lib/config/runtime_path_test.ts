import { assert, assertEquals } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { loadConfig } from "./config.ts";
import { ensureRuntimePath } from "./runtime_path.ts";

/** Call with a folder of its own, and the runtime path below it. */
async function withPath(
  body: (folder: string, ensure: (path: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder, async (path) => {
      const environment = { HOME: folder, ENROOT_RUNTIME_PATH: path, ENROOT_SYSCONF_PATH: folder };
      ensureRuntimePath(await loadConfig({ environment }));
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function refusal(work: () => Promise<void>): Promise<[code: string, message: string]> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EnrootError) return [error.code, error.message];
    throw error;
  }
  throw new Error("it was not refused");
}

Deno.test("the runtime folder is made for its user alone, with what is above it", async () => {
  await withPath(async (folder, ensure) => {
    await ensure(`${folder}/a/b`);
    for (const path of [`${folder}/a`, `${folder}/a/b`]) {
      assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o700);
    }
    await ensure(`${folder}/a/b`);
  });
});

Deno.test("a runtime folder that others could have put something into is refused", async () => {
  await withPath(async (folder, ensure) => {
    await Deno.mkdir(`${folder}/open`);
    await Deno.chmod(`${folder}/open`, 0o777);
    await Deno.mkdir(`${folder}/real`);
    await Deno.symlink(`${folder}/real`, `${folder}/link`);
    // For root a folder of somebody else is made; for others root's will do.
    const others = Deno.uid() === 0 ? `${folder}/other` : "/usr";
    if (Deno.uid() === 0) {
      await Deno.mkdir(others);
      await Deno.chown(others, 12345, 12345);
    }
    for (const path of [`${folder}/open`, `${folder}/link`, others]) {
      const [code, message] = await refusal(() => ensure(path));
      assertEquals(code, "not-owned", path);
      assert(message.includes(path) && message.includes("ENROOT_RUNTIME_PATH"), message);
    }
  });
});

Deno.test("a runtime folder that cannot be made is named, with the reason and the remedy", async () => {
  await withPath(async (folder, ensure) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const [code, message] = await refusal(() => ensure(`${folder}/file/x`));
    assertEquals(code, "cannot-write");
    assert(/file\/x: .*: set ENROOT_RUNTIME_PATH/.test(message), message);
    assertEquals((await Deno.stat(`${folder}/file`)).size, 0);
  });
});
