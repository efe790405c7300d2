import { assertEquals } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { openToAll } from "../support/fixture.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { runAsRoot } from "./as_root.ts";

// Only root can make a machine whose users are made up.
Deno.test({
  name: "the caller is known in the container, as the host's NSS knows him",
  ignore: Deno.uid() !== 0,
  async fn(t) {
    await using bed = await Bed.make("plain user");
    await makeSampleImage(`${bed.work}/layout`);
    await openToAll(`${bed.work}/layout`);
    await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:sample`]);
    const rootfs = `${bed.data}/box`;
    const id = String(bed.uid);
    await Deno.writeTextFile(
      `${bed.work}/passwd`,
      `root:x:0:0:root:/root:/bin/sh\nada:x:${id}:${id}:Ada:/home/ada:/bin/no-such-shell\n`,
    );
    await Deno.writeTextFile(`${bed.work}/group`, `root:x:0:\nlab:x:4242:ada\nada:x:${id}:\n`);
    const start = (args: readonly string[], text: string): Promise<string> =>
      runAsRoot(bed, [
        ...["unshare", "--mount", "sh", "-ec"],
        'mount --bind "$0/passwd" /etc/passwd; mount --bind "$0/group" /etc/group; exec "$@"',
        ...[bed.work, "setpriv", "--reuid", id, "--regid", id, "--groups", `${id},4242`, "--"],
        ...[bed.executable, "start", ...args, "box", "sh", "-c", text],
      ]);

    await t.step("his name, groups, home and shell", async () => {
      const text =
        'id -un; id -gn; getent group lab; echo "$HOME $USER $SHELL"; ls -ld ~ | cut -c1-10';
      assertEquals(
        await start([], text),
        "ada\nada\nlab:x:4242:ada\n/home/ada ada /bin/bash\ndrwx------\n",
      );
    });

    await t.step("the container's files are not changed by it, and cannot be in it", async () => {
      const before = await Deno.readTextFile(`${rootfs}/etc/passwd`);
      const text = "(echo x >> /etc/passwd) 2> /dev/null || echo read-only";
      assertEquals(await start(["--rw"], text), "read-only\n");
      assertEquals(await Deno.readTextFile(`${rootfs}/etc/passwd`), before);
      assertEquals(before.includes("ada"), false);
    });

    await t.step("with --root he is the container's root, whose users can be changed", async () => {
      const text = "id -un; echo $HOME; echo 'new:x:7777:7777::/:' > /etc/passwd-; " +
        "cat /etc/passwd >> /etc/passwd-; mv /etc/passwd- /etc/passwd; getent passwd 7777";
      assertEquals(await start(["--root", "--rw"], text), "root\n/root\nnew:x:7777:7777::/:\n");
    });

    await t.step("what he writes in his home of a writable container stays there", async () => {
      await start(["--rw"], "echo kept > ~/file");
      assertEquals(await start([], "cat ~/file"), "kept\n");
    });
  },
});
