import { assert, assertEquals } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { mark, pyxis, pyxisFinds } from "../support/pyxis.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";

for (const user of slowUsers) {
  Deno.test(`what pyxis does, on ZFS, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await startRegistry());
    const folder = await Deno.makeTempDir();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    await makeBusyboxImage(`${folder}/layout`, "x", { mark });
    const image = `127.0.0.1:${registry.port}/team/image:1`;
    await pushImage(`${folder}/layout`, "x", image);
    const store = stack.use(await ZfsBed.make(user));
    const { bed, dataset } = store;
    const uri = `docker://${image}`;

    await t.step("an image of a registry becomes a container, is joined, and goes", async () => {
      const { code, stdout, stderr } = await pyxis(bed, "pyxis_7.0", uri, store.env);
      assertEquals([code, stderr, stdout], [0, "", pyxisFinds("pyxis_7.0", uri)]);
      // pyxis removes the file as soon as it has the container, and the template is what stays.
      const [, template, ...rest] = (await dataset.contents()).filter((name) =>
        name !== ".ephemeral"
      );
      assert(template !== undefined);
      assertEquals(rest, [`${template}@pristine`]);
      assertEquals([...(await dataset.mounted()).keys()], []);
      const saved = (await Deno.readFile(`${bed.work}/saved.sqsh`)).subarray(0, 4);
      assertEquals(new TextDecoder().decode(saved), "hsqs");
    });

    await t.step("a named container of before is joined, after a reboot too", async () => {
      await store.succeed(["load", "-n", "kept", uri]);
      for (const reboot of [false, true]) {
        if (reboot) await zfs("unmount", `${dataset.path}/kept`);
        const { code, stdout, stderr } = await pyxis(bed, "kept", undefined, store.env);
        assertEquals([code, stderr, stdout], [0, "", pyxisFinds("kept")]);
      }
    });
  });
}
