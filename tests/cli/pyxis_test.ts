import { assertEquals } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { Box } from "../support/box.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { mark, pyxis, pyxisFinds } from "../support/pyxis.ts";
import { startRegistry } from "../support/registry.ts";

for (const user of users) {
  Deno.test(`a container as pyxis starts and joins it, as ${user}`, async () => {
    await using box = await Box.make(user);
    await Deno.writeTextFile(`${box.root}/mark`, mark);
    const { stdout, stderr, code } = await pyxis(box.bed, "box");
    assertEquals([code, stderr, stdout], [0, "", pyxisFinds("box")]);
  });

  Deno.test(`an image of a registry as pyxis makes a container of it, as ${user}`, async () => {
    await using registry = await startRegistry();
    await using bed = await Bed.make(user);
    await makeBusyboxImage(`${bed.work}/layout`, "x", { mark });
    const image = `127.0.0.1:${registry.port}/team/image:1`;
    await pushImage(`${bed.work}/layout`, "x", image);
    await Deno.remove(`${bed.work}/layout`, { recursive: true });

    const { stdout, stderr, code } = await pyxis(bed, "pyxis_7", `docker://${image}`);
    assertEquals([code, stderr, stdout], [0, "", pyxisFinds("pyxis_7", image)]);
    // The unpacked program of a user without a home is here.
    const left = (await bed.contents()).filter((path) => !/^tmp\/enroot-\d+-payload/.test(path));
    assertEquals(left, ["work/conf", "work/saved.sqsh"]);
  });
}
