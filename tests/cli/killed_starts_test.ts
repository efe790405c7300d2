import { assertEquals } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { openFuse } from "../support/fuse.ts";
import { type BedProcess, marked, nothingLeft, processesOf } from "../support/leftovers.ts";

/** What a container is started as: its processes by name, and what else is left when it is looked after no more. */
interface Row {
  readonly what: "box" | "image.sqsh";
  readonly options?: readonly string[];
  readonly env?: Record<string, string>;
  /** All processes of it: the command is the last one. */
  readonly processes: readonly string[];
}

const overlay = ["enroot-serve", "squashfuse_ll"];
const fallback = { ENROOT_NATIVE_OVERLAYFS: "n" };
const rows: readonly Row[] = [
  { what: "box", processes: ["sh"] },
  { what: "box", options: ["--pid"], processes: ["enroot-init", "enroot-nsenter", "sh"] },
  { what: "image.sqsh", processes: [...overlay, "sh"] },
  {
    what: "image.sqsh",
    options: ["--pid"],
    processes: ["enroot-init", "enroot-nsenter", ...overlay, "sh"],
  },
  { what: "image.sqsh", env: fallback, processes: ["fuse-overlayfs", ...overlay, "sh"] },
];

/** What only looks after the others: without it they go on. */
const watcher = "enroot-serve";

for (const user of users) {
  Deno.test(`kill -9 of any process of a start leaves nothing, as ${user}`, async (t) => {
    await using _fuse = await openFuse();
    await using bed = await Bed.make(user);
    await makeBusyboxImage(`${bed.work}/layout`, "box");
    await openToAll(`${bed.work}/layout`);
    await bed.succeed(["import", "-o", "image.sqsh", `oci:${bed.work}/layout:box`]);
    await bed.succeed(["create", "-n", "box", "image.sqsh"]);

    for (const { what, options = [], env = {}, processes } of rows) {
      for (const victim of processes) {
        const named = [...options, what, ...Object.keys(env).slice(0, 1)].join(" ");
        await t.step(`${victim} of start ${named}`, async () => {
          const argv = [bed.executable, "start", ...marked(bed), ...options, what];
          const child = bed.start([...argv, "sh", "-c", "echo up; read x"], {
            env,
            stdin: "piped",
          });
          await using end = new AsyncDisposableStack();
          end.defer(() => child.stdin.close().catch(() => {}));
          const reader = child.stdout.getReader();
          await reader.read();
          const there = processesOf(bed);
          assertEquals(there.map(({ comm }) => comm).sort(), [...processes].sort());
          Deno.kill(pidOf(there, victim), "SIGKILL");
          if (victim === watcher) {
            // The container goes on, and what serves it ends with it.
            assertEquals(await bed.succeed(["exec", commandOf(there), "echo", "alive"]), "alive\n");
            await end.disposeAsync();
            assertEquals((await child.status).code, 1);
          } else {
            assertEquals((await child.status).signal, "SIGKILL");
          }
          await Promise.all([reader.cancel(), child.stderr.cancel()]);
          await nothingLeft(bed);
        });
      }
    }

    await t.step("its first program, before it has become the container", async () => {
      await Deno.mkdir(`${bed.sysconf}/hooks.d`);
      const hook = "#!/bin/sh\necho ready\nread x < /dev/zero\n";
      await Deno.writeTextFile(`${bed.sysconf}/hooks.d/10-slow.sh`, hook, { mode: 0o755 });
      for (const what of ["box", "image.sqsh"]) {
        const child = bed.start([bed.executable, "start", what, "true"]);
        const reader = child.stderr.getReader();
        await reader.read();
        child.kill("SIGKILL");
        assertEquals((await child.status).signal, "SIGKILL");
        await Promise.all([reader.cancel(), child.stdout.cancel()]);
        for (const { pid, comm } of processesOf(bed)) {
          if (comm === "10-slow.sh") Deno.kill(pid, "SIGKILL");
        }
        await nothingLeft(bed);
      }
    });
  });
}

function pidOf(processes: readonly BedProcess[], name: string): number {
  const found = processes.find(({ comm }) => comm === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found.pid;
}

function commandOf(processes: readonly BedProcess[]): string {
  return String(pidOf(processes, "sh"));
}
