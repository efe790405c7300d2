import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { lockRootfsFile } from "./rootfs_lock.ts";

/** A file that another process holds the lock of, for so many seconds. */
async function whileHeld(
  seconds: number,
  body: (path: string, descriptor: number, pid: number) => void,
): Promise<void> {
  const path = await Deno.makeTempFile();
  const holder = new Deno.Command("flock", {
    // It becomes what it runs.
    args: ["--no-fork", path, "sh", "-c", 'echo held; exec sleep "$0"', String(seconds)],
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  try {
    await reader.read();
    using _file = Deno.openSync(path, { write: true });
    body(path, descriptorOf(path), holder.pid);
  } finally {
    await reader.cancel();
    holder.kill("SIGKILL");
    await holder.status;
    await Deno.remove(path);
  }
}

function descriptorOf(path: string): number {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`) === path) return Number(name);
    } catch {
      // The descriptor of the list itself.
    }
  }
  throw new Error(`${path} is not open`);
}

Deno.test("a lock that is let go of is had, and who held it is said once", () =>
  whileHeld(0.5, (path, file, pid) => {
    const said: string[] = [];
    lockRootfsFile(file, { path, warn: (message) => said.push(message), silence: 100 });
    assertEquals(said, [`waiting for the lock ${path}, held by process ${pid} (sleep)`]);
  }));

Deno.test("a short wait is nothing to speak of", () =>
  whileHeld(0.2, (path, file) => {
    const said: string[] = [];
    lockRootfsFile(file, { path, warn: (message) => said.push(message) });
    assertEquals(said, []);
  }));

Deno.test("a lock that one process keeps is given up, with its name", () =>
  whileHeld(30, (path, file, pid) => {
    const begun = performance.now();
    const error = assertThrows(
      () => lockRootfsFile(file, { path, warn: () => {}, silence: 100, patience: 500 }),
      EnrootError,
    );
    assertEquals(error.code, "locked");
    assertMatch(error.message, new RegExp(`${path} .*process ${pid} \\(sleep\\)`));
    assert(performance.now() - begun < 20_000);
  }));
