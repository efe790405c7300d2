import { assert, assertEquals } from "@std/assert";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { findProgram } from "../../lib/process/run.ts";
import { ZfsBed } from "../support/zfs_bed.ts";

/** How long anything here is waited for, in milliseconds: the machine may be emulated. */
const patience = 120_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + patience; !await isSo();) {
    assert(Date.now() < end, `${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

Deno.test("what takes a container's place and is killed while `zfs` goes on ends well", async (t) => {
  await using store = await ZfsBed.make("root");
  const { bed, dataset } = store;
  await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/name": "image\n" });
  await store.succeed(["import", "-o", "image.sqsh", "oci:layout:x"]);
  // Twice, and all parents are there.
  for (const force of [[], ["--force"]]) {
    await store.succeed(["create", ...force, "-n", "box", "image.sqsh"]);
  }
  await store.succeed(["start", "--rw", "box", "sh", "-c", "echo mine > /etc/name"]);
  const real = findProgram("zfs") ?? "";
  await Deno.copyFile(real, `${bed.temp}/zfs.real`);
  const name = (): Promise<string> => store.succeed(["start", "box", "cat", "/etc/name"]);
  const locks = (): string[] =>
    [...Deno.readDirSync(`${dataset.path}/.locks`)].map((each) => each.name)
      .filter((each) => each.startsWith("e-"));
  const clones = async (): Promise<number> =>
    (await dataset.contents()).filter((each) => each.startsWith(".ephemeral/")).length;

  const replacing = [bed.executable, "create", "--force", "-n", "box", "image.sqsh"];

  /** Kill a command when it has one of its `zfs` begin, which goes on later. */
  const killIn = async (step: string, argv: readonly string[] = replacing): Promise<void> => {
    const begun = `${bed.temp}/${crypto.randomUUID()}`;
    await Deno.writeTextFile(
      `${bed.temp}/zfs`,
      `#!/bin/sh
case "$*" in "${step} "*)
  touch ${begun}
  for i in $(seq 600); do [ -e ${begun}.go ] && break; sleep 0.2; done
esac
exec ${bed.temp}/zfs.real "$@"
`,
      { mode: 0o755 },
    );
    const script = 'mount --bind "$0" "$1"; shift; exec "$@"';
    const child = bed.start([
      ...["unshare", "--mount", "--propagation", "private", "sh", "-euc", script],
      ...[`${bed.temp}/zfs`, real, ...argv],
    ], { env: store.env });
    const output = child.output();
    await using _ended = { [Symbol.asyncDispose]: async () => void await output };
    await until(`zfs ${step}`, () => Deno.stat(begun).then(() => true, () => false));
    child.kill("SIGKILL");
    assertEquals((await child.status).signal, "SIGKILL");
    // What comes meanwhile leaves alone what is under way.
    assertEquals(await store.succeed(["list"]), "box\n");
    await Deno.writeTextFile(`${begun}.go`, "");
  };

  await t.step(
    "killed while the clone is made: the old one stays, and the clone goes",
    async () => {
      await killIn("clone");
      await until("the clone", async () => await clones() === 1);
      assertEquals(await store.succeed(["list"]), "box\n");
      assertEquals([await clones(), await name()], [0, "mine\n"]);
    },
  );

  await t.step("killed while the old one is destroyed: the new one is in its place", async () => {
    await killIn("destroy -r");
    await until("the destruction", async () => !(await dataset.contents()).includes("box"));
    assertEquals(await store.succeed(["list"]), "box\n");
    assertEquals([await clones(), await name()], [0, "image\n"]);
    assertEquals(locks(), []);
  });

  await t.step("killed while what was received takes its place: it is there", async () => {
    await store.succeed(["start", "--rw", "box", "sh", "-c", "echo sent > /etc/name"]);
    const send = 'exec "$0" export --zfs-send box > sent.zfs';
    assertEquals((await bed.run(["sh", "-c", send, bed.executable], { env: store.env })).code, 0);
    await store.succeed(["start", "--rw", "box", "sh", "-c", "echo mine > /etc/name"]);
    const receive = 'exec "$0" import --zfs-recv --force -n box < sent.zfs';
    await killIn("destroy -r", ["sh", "-c", receive, bed.executable]);
    await until("the destruction", async () => !(await dataset.contents()).includes("box"));
    assertEquals(await store.succeed(["list"]), "box\n");
    assertEquals([await clones(), await name()], [0, "sent\n"]);
    assertEquals(locks(), []);
  });
});
