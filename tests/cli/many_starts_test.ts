import { assertEquals } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { openFuse } from "../support/fuse.ts";
import { nothingLeft } from "../support/leftovers.ts";

const count = 200;

/** What a start says whose turn it has not been for three seconds. */
const wait = /^\[WARN\] waiting for the lock [^\n]*\/box\/\.lock, held by [^\n]*\n/;

/** What each start holds while it is prepared, in KiB, the executable not counted, which they share. */
const memoryOfOne = 45_000;

// One user, the last that this process can be: it is about the number.
const [user = "plain user"] = users.slice(-1);

Deno.test(`${count} starts at once, as ${user}`, async (t) => {
  await using _fuse = await openFuse();
  await using bed = await Bed.make(user);
  await makeBusyboxImage(`${bed.work}/layout`, "box");
  await openToAll(`${bed.work}/layout`);
  await bed.succeed(["import", "-o", "image.sqsh", `oci:${bed.work}/layout:box`]);
  await bed.succeed(["create", "-n", "box", "image.sqsh"]);
  const [, available = "0"] = /^MemAvailable: +(\d+) kB$/m.exec(
    await Deno.readTextFile("/proc/meminfo"),
  ) ?? [];
  assertEquals(Number(available) > count * memoryOfOne, true, `too little memory: ${available} kB`);

  for (const what of ["box", "image.sqsh"]) {
    await t.step(`of ${what}: all run at the same time, and leave nothing`, async () => {
      const argv = [bed.executable, "start", what, "sh", "-c", 'read x; echo "$x"; exit 7'];
      const running = Array.from({ length: count }, () => bed.start(argv, { stdin: "piped" }));
      const expected = running.map(({ pid }) => pid).sort((a, b) => a - b);
      // Nobody is told to go on before everybody is there.
      await until(() => expected.every((pid) => nameOf(pid) === "sh"));
      if (what === "box") {
        const [box] = JSON.parse(await bed.succeed(["list", "--json"]));
        const listed = box.processes.map(({ pid }: { pid: number }) => pid);
        assertEquals(listed.sort((a: number, b: number) => a - b), expected);
      }
      const ends = await Promise.all(running.map(async (child, index) => {
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode(`${index}\n`));
        await writer.close();
        const { code, stdout, stderr } = await child.output();
        const decoder = new TextDecoder();
        return [code, decoder.decode(stdout), decoder.decode(stderr).replace(wait, "")];
      }));
      assertEquals(ends, running.map((_, index) => [7, `${index}\n`, ""]));
      await nothingLeft(bed);
    });
  }
});

/** The name of a process; of one that has ended there is none. */
function nameOf(pid: number): string | undefined {
  try {
    const [, name] = /^\d+ \((.*)\) [^Z]/s.exec(Deno.readTextFileSync(`/proc/${pid}/stat`)) ?? [];
    return name;
  } catch {
    return undefined;
  }
}

/** Wait until something holds. @throws {Error} after four minutes */
async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 240_000; performance.now() < end;) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("waited four minutes in vain");
}
