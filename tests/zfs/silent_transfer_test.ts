import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { noise } from "../support/noise.ts";
import { Host, setRoute, startSshd, startWire } from "../support/ssh_hosts.ts";

const size = 3 << 20;

Deno.test("a network that fails without a word: nobody waits for ever, and what came is gone on with", async (t) => {
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
  const isWhole = async (name: string): Promise<void> => {
    const path = `${there.dataset.path}/${name}/root/big`;
    const sums = await Promise.all([
      here.run(["sha256sum", `${here.dataset.path}/box/root/big`]),
      there.run(["sha256sum", path]),
    ]);
    assertEquals(sums[0]?.stdout.slice(0, 64), sums[1]?.stdout.slice(0, 64));
  };
  /** Push, until half of a stream is there, and then have all be silent. */
  const silence = async (
    args: readonly string[],
    then: (child: Deno.ChildProcess) => void,
  ): Promise<Deno.CommandOutput> => {
    const child = here.start(args);
    const output = child.output();
    wire.after = {
      bytes: wire.bytes + size / 2,
      call() {
        wire.silence();
        then(child);
        return Promise.resolve();
      },
    };
    return await output;
  };

  await t.step("the next one says for whom it waits, while that does not know it yet", async () => {
    const args = ["export", "box", "zfs://there/one"];
    const { signal } = await silence(args, ({ pid }) => Deno.kill(pid, "SIGKILL"));
    assertEquals(signal, "SIGKILL");
    const began = Date.now();
    const said = await here.succeed(args);
    assertMatch(said, /there: waiting for process \d+ \(.*\), which receives the same/);
    assertMatch(said, /went on where it was cut/);
    assert(Date.now() - began < 180_000, `${Date.now() - began} ms`);
    await isWhole("one");
  });

  await t.step("both ends notice, and the next one goes on at once", async () => {
    const args = ["export", "box", "zfs://there/two"];
    const { code, stderr } = await silence(args, () => {});
    assertEquals(code, 1);
    assertMatch(
      new TextDecoder().decode(stderr),
      /^\[ERROR\] the connection to there ended .*run the command again/m,
    );
    const said = await here.succeed(args);
    assertEquals(/waiting for/.test(said), false, said);
    assertMatch(said, /went on where it was cut/);
    await isWhole("two");
  });
});
