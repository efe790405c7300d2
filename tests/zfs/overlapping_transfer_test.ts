import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { allowCommand, permissions } from "../../lib/storage/zfs/delegation.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { noise } from "../support/noise.ts";
import { Host, setRoute, startSshd, startWire } from "../support/ssh_hosts.ts";
import { zfs } from "../support/zfs_bed.ts";

const size = 3 << 20;

Deno.test("zfs:// where others do the same, and where something is not delegated", async (t) => {
  await using stack = new AsyncDisposableStack();
  const here = stack.use(await Host.make("plain user"));
  const there = stack.use(await Host.make("plain user"));
  const { port } = stack.use(await startSshd(there, here));
  const wire = stack.use(startWire(port));
  await setRoute(here, wire.port);
  const layout = `${here.bed.work}/layout`;
  await makeBusyboxImage(layout, "x", { "data/big": noise(size) });
  await openToAll(layout);
  await here.succeed(["load", "-n", "box", `oci:${layout}:x`]);
  await here.succeed(["start", "--rw", "box", "sh", "-c", "cat /data/big > /root/big"]);
  /** Do this while the stream of that is half there. */
  const during = async (
    args: readonly string[],
    call: () => Promise<void>,
  ): Promise<string> => {
    let isCalled = false;
    wire.after = {
      bytes: wire.bytes + size / 2,
      async call() {
        isCalled = true;
        await call();
      },
    };
    const said = await here.succeed(args);
    assertEquals(isCalled, true);
    return said;
  };
  const sumOf = async (host: Host, name: string): Promise<string> =>
    (await host.run(["sha256sum", `${host.dataset.path}/${name}/root/big`])).stdout.slice(0, 64);
  const leftovers = async (): Promise<string[]> =>
    [...await here.contents(), ...await there.contents()]
      .filter((name) => /@enroot-send-|^\.receiving\/|\.tmp/.test(name));

  await t.step(
    "two pushes: the second waits for the template, says so, and sends the rest",
    async () => {
      let second: Promise<string> | undefined;
      await during(["export", "box", "zfs://there/one"], async () => {
        const child = here.start(["export", "box", "zfs://there/two"]);
        const waits = Promise.withResolvers<void>();
        second = textOf(child, (said) => /waiting for/.test(said) && waits.resolve());
        await Promise.race([waits.promise, second]);
      });
      const said = await second ?? "";
      assertMatch(said, /there: waiting for process \d+ \(.*\), which receives the same/);
      assertMatch(said, /Sent .* to there \(only what differs from its template\)/);
      const sum = await sumOf(here, "box");
      assertEquals([await sumOf(there, "one"), await sumOf(there, "two")], [sum, sum]);
      assertEquals(await leftovers(), []);
    },
  );

  await t.step("two pulls of one container: each has a stream of its own", async () => {
    await there.succeed(["start", "--rw", "one", "sh", "-c", "cat /data/big >> /root/big"]);
    let second: Promise<string> | undefined;
    await during(["load", "-n", "three", "zfs://there/one"], async () => {
      let isOver = false;
      second = here.succeed(["load", "-n", "four", "zfs://there/one"]);
      second.catch(() => {}).finally(() => isOver = true);
      // Until it has chosen what it sends, and does.
      for (const enough = wire.bytes + size / 4; !isOver && wire.bytes < enough;) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
    await second;
    const sum = await sumOf(there, "one");
    assertEquals([await sumOf(here, "three"), await sumOf(here, "four")], [sum, sum]);
    assertEquals(await leftovers(), []);
  });

  await t.step("what ZFS refuses to a sender comes with the command that allows it", async () => {
    const { dataset, bed } = there;
    const location = { dataset: dataset.name, owner: bed.uid };
    const command = allowCommand(location as Parameters<typeof allowCommand>[0]);
    const uid = String(bed.uid);
    for (const missing of ["snapshot", "send"]) {
      await zfs("unallow", "-u", uid, missing, dataset.name);
      for (
        const { code, stderr } of [
          await there.enroot(["export", "--format=zfs", "-o", `${missing}.zfs`, "one"]),
          await there.enroot(["export", "--zfs-send", "one"]),
          await here.enroot(["load", "-n", missing, "zfs://there/one"]),
        ]
      ) {
        assertEquals(code, 1, stderr);
        assertStringIncludes(stderr, `as root, run: ${command}`);
      }
      await zfs("allow", "-u", uid, permissions.join(","), dataset.name);
    }
    assertEquals(await leftovers(), []);
    await here.succeed(["load", "-n", "allowed", "zfs://there/one"]);
  });
});

/** All that a command says on standard error, which must succeed. @param onText told all of it so far */
async function textOf(
  child: Deno.ChildProcess,
  onText: (said: string) => unknown,
): Promise<string> {
  let said = "";
  const decoder = new TextDecoder();
  const stdout = child.stdout.cancel();
  for await (const piece of child.stderr) onText(said += decoder.decode(piece, { stream: true }));
  const { code } = await child.status;
  await stdout;
  assertEquals(code, 0, said);
  return said;
}
