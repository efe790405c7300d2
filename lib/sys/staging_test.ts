import { assertEquals } from "@std/assert";
import { run } from "../../tests/support/command.ts";
import { removeTree } from "./remove_tree.ts";
import { createStaging, tidyStaging } from "./staging.ts";

/** Long ago, for what is not to be young. */
const past = new Date(2001, 1, 1);

async function inFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    removeTree(folder);
  }
}

/** A staging folder as a killed process leaves it. */
function leave(folder: string, { mode = 0o700, lock = true } = {}): void {
  Deno.mkdirSync(`${folder}/content`, { recursive: true });
  if (lock) Deno.writeTextFileSync(`${folder}/lock`, "");
  Deno.chmodSync(folder, mode);
  Deno.utimeSync(folder, past, past);
}

const left = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("what a killed process left is removed, what is in use or just being made is not", () =>
  inFolder((folder) => {
    leave(`${folder}/s.locked`);
    leave(`${folder}/s.bare`, { lock: false });
    leave(`${folder}/other`);
    Deno.mkdirSync(`${folder}/s.young`, { mode: 0o700 });
    const inUse = createStaging(folder, "s.");
    const name = inUse.path.split("/").at(-2) ?? "";
    tidyStaging(folder, "s.");
    assertEquals(left(folder).sort(), ["other", "s.young", name].sort());
    inUse[Symbol.dispose]();
    assertEquals(left(folder).sort(), ["other", "s.young"]);
  }));

Deno.test("what is not as a staging folder is made stays, and holds nothing up", () =>
  inFolder(async (folder) => {
    leave(`${folder}/s.open`, { mode: 0o755 });
    leave(`${folder}/s.fifo`, { lock: false });
    await run(["mkfifo", `${folder}/s.fifo/lock`]);
    leave(`${folder}/s.link`, { lock: false });
    Deno.writeTextFileSync(`${folder}/file`, "");
    Deno.symlinkSync("../file", `${folder}/s.link/lock`);
    leave(`${folder}/theirs`);
    Deno.symlinkSync("theirs", `${folder}/s.symlink`);
    const before = left(folder).sort();
    tidyStaging(folder, "s.");
    assertEquals(left(folder).sort(), before);
    assertEquals(left(`${folder}/theirs`).sort(), ["content", "lock"]);
  }));

Deno.test("a folder that is locked itself stays, whatever became of its lock file", () =>
  inFolder(async (folder) => {
    leave(`${folder}/s.kept`, { lock: false });
    leave(`${folder}/s.gone`, { lock: false });
    // The lock is one of a process that ends when this closes its input.
    const holder = new Deno.Command("flock", {
      args: [`${folder}/s.kept`, "sh", "-c", "echo; exec cat"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    try {
      await reader.read();
      tidyStaging(folder, "s.");
      assertEquals(left(folder), ["s.kept"]);
    } finally {
      await Promise.all([holder.stdin.close(), reader.cancel()]);
      await holder.status;
    }
    tidyStaging(folder, "s.");
    assertEquals(left(folder), []);
  }));
