import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { Host, startSshd } from "../support/ssh_hosts.ts";
import { TestDataset, zfs } from "../support/zfs_bed.ts";

Deno.test("zfs:// of a container whose template root lends", async (t) => {
  await using stack = new AsyncDisposableStack();
  // First: it is to be mounted on both hosts.
  const shared = stack.use(await TestDataset.make(0, ["setuid=off", "devices=off"]));
  const here = stack.use(await Host.make("plain user"));
  const there = stack.use(await Host.make("plain user"));
  stack.use(await startSshd(there, here));
  await zfs("allow", "-e", "clone", shared.name);
  const lends = ["ENROOT_STORAGE_BACKEND zfs", `ENROOT_TEMPLATE_STORE ${shared.name}`];
  await here.configure(lends);
  const { work } = here.bed;
  await makeBusyboxImage(`${work}/layout`, "x", { "etc/name": "lent\n" });
  await openToAll(`${work}/layout`);
  const uri = `oci:${work}/layout:x`;
  await Deno.writeTextFile(`${work}/list`, `${uri}\n`);
  const root = here.serve([here.bed.executable, "prewarm", `${work}/list`]);
  const { code, stderr } = await root.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  await here.succeed(["load", "-n", "box", uri]);
  const origin = await here.dataset.property("box", "origin");
  assert(origin.startsWith(`${shared.name}/.templates/`), origin);
  await here.succeed(["start", "--rw", "box", "sh", "-c", "echo mine > /root/mine"]);
  const leftovers = async (): Promise<string[]> =>
    [...await here.contents(), ...await there.contents()]
      .filter((name) => /@enroot-send-|^\.receiving\/|\.tmp/.test(name));

  await t.step("a host that lends nothing refuses it, and has nothing of it", async () => {
    const before = await there.contents();
    const { code, stderr } = await here.enroot(["export", "box", "zfs://there/copy"]);
    assertEquals(code, 1, stderr);
    const errors = stderr.match(/^\[ERROR\] .*/gm) ?? [];
    assertEquals(errors.length, 1, stderr);
    assertStringIncludes(errors[0] ?? "", "belong to another user");
    assertEquals(await leftovers(), []);
    const after = (await there.contents()).filter((name) => name !== ".receiving");
    assertEquals(after, before);
    assertEquals(await there.succeed(["list"]), "");
  });

  await t.step("a host that lends templates has all of it, as its user's", async () => {
    await there.configure(lends);
    await here.succeed(["export", "box", "zfs://there/copy"]);
    const script = "cat /etc/name /root/mine; echo more >> /root/mine";
    assertEquals(
      await there.succeed(["start", "--rw", "copy", "sh", "-c", script]),
      "lent\nmine\n",
    );
    assertEquals(await there.dataset.property("copy", "origin"), "-");
    assertMatch(await there.dataset.property("copy", "enroot:uri"), /^oci:.*\/layout:x$/);
    assertEquals(await leftovers(), []);
  });

  await t.step("and it comes back", async () => {
    await here.succeed(["load", "-n", "back", "zfs://there/copy"]);
    assertEquals(await here.succeed(["start", "back", "cat", "/root/mine"]), "mine\nmore\n");
    assertEquals(await leftovers(), []);
  });
});
