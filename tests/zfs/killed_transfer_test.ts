import { assert, assertEquals } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { processesOf } from "../support/leftovers.ts";
import { noise } from "../support/noise.ts";
import { Host, setRoute, startSshd, startWire } from "../support/ssh_hosts.ts";

const size = 3 << 20;

/** Who is killed while a container goes where. */
const all = [
  { args: ["export", "box", "zfs://there/pushed"], who: "here", name: "pushed", to: "there" },
  { args: ["load", "-n", "got", "zfs://there/far"], who: "there", name: "got", to: "here" },
  { args: ["export", "box", "zfs://there/sent"], who: "there", name: "sent", to: "there" },
  { args: ["load", "-n", "pulled", "zfs://there/far"], who: "here", name: "pulled", to: "here" },
] as const;
const rows = all.slice(0, Deno.args.includes("all-users") ? 4 : 2);

Deno.test("kill -9 of either end of a transfer: nothing is half there, and the next one gets there", async (t) => {
  await using stack = new AsyncDisposableStack();
  const here = stack.use(await Host.make("plain user"));
  const there = stack.use(await Host.make("plain user"));
  const { port } = stack.use(await startSshd(there, here));
  const wire = stack.use(startWire(port));
  await setRoute(here, wire.port);
  const hosts = { here, there };
  for (const [host, name] of [[here, "box"], [there, "far"]] as const) {
    const layout = `${host.bed.work}/layout`;
    await makeBusyboxImage(layout, "x", { "data/big": noise(size), "data/of": name });
    await openToAll(layout);
    await host.succeed(["load", "-n", name, `oci:${layout}:x`]);
  }

  for (const { args, who, name, to } of rows) {
    await t.step(`${args[0]}, killed ${who}`, async () => {
      let isKilled = false;
      const child = here.start(args);
      const output = child.output();
      wire.after = {
        bytes: wire.bytes + size / 2,
        call() {
          const victims = who === "here"
            ? [child.pid]
            : processesOf(there.bed).filter(({ comm }) => !/^ssh/.test(comm)).map(({ pid }) => pid);
          for (const pid of victims) Deno.kill(pid, "SIGKILL");
          isKilled = true;
          return Promise.resolve();
        },
      };
      const { success } = await output;
      assertEquals([isKilled, success], [true, false]);
      assertEquals((await hosts[to].succeed(["list"])).split("\n").includes(name), false);

      await here.succeed(args);
      const told = await hosts[to].succeed(["start", name, "cat", "/data/of"]);
      assertEquals(told.trim().split("\n").at(-1), to === "there" ? "box" : "far");
      const sums = await Promise.all(
        ([[here, to === "here" ? name : "box"], [there, to === "there" ? name : "far"]] as const)
          .map(([host, each]) => host.run(["sha256sum", `${host.dataset.path}/${each}/data/big`])),
      );
      assertEquals(sums[0]?.stdout.slice(0, 64), sums[1]?.stdout.slice(0, 64));
      // With its template there the next one would be over before anybody could be killed.
      await hosts[to].succeed(["remove", "-f", name]);
      await hosts[to].succeed(["cache", "prune", "--all"]);
    });
  }

  await t.step("what is left is what a transfer goes on from, or goes with a sweep", async () => {
    for (const host of [here, there]) {
      const contents = await host.contents();
      assertEquals(contents.filter((each) => /^\.receiving\/|@enroot-file|\.tmp/.test(each)), []);
      // At most one a killed sender: they go with a transfer of the same container, or a day later.
      assert(contents.filter((each) => each.includes("@enroot-send")).length <= 2);
      assertEquals(
        [...(await host.dataset.mounted()).keys()].filter((each) => /^\./.test(each)),
        [],
      );
    }
  });
});
