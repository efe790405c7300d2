import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt, run } from "../support/command.ts";
import { openToAll } from "../support/fixture.ts";
import { testPool, zfs, ZfsBed } from "../support/zfs_bed.ts";

/** What a shell does with a pipe, for whoever runs commands in a bed. */
function piped(enroot: string, from: string, to: string): string[] {
  return ["bash", "-euo", "pipefail", "-c", '"$0" $1 | "$0" $2', enroot, from, to];
}

for (const user of slowUsers) {
  Deno.test(`.zfs files, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const store = stack.use(await ZfsBed.make(user));
    const { bed, dataset } = store;
    await makeBusyboxImage(`${bed.work}/layout`, "x", { "etc/motd": "hello\n" });
    await openToAll(`${bed.work}/layout`);
    await store.succeed(["load", "-n", "box", `oci:${bed.work}/layout:x`]);
    await store.succeed(["start", "--rw", "box", "sh", "-c", "echo mine > /root/kept"]);
    /** All that is there, but for when templates were used. */
    const before = await dataset.contents();

    await t.step(
      "`export --format=zfs` writes the container as it is now, and leaves nothing",
      async () => {
        await store.succeed(["export", "--format=zfs", "-o", "box.zfs", "box"]);
        assertEquals(await dataset.contents(), before);
        const start = (await Deno.readFile(`${bed.work}/box.zfs`)).subarray(8, 12);
        assertEquals([...start], [0xac, 0xcb, 0xba, 0xf5]);
        const { code, stderr } = await store.enroot([
          "export",
          "--format=zfs",
          "-o",
          "box.zfs",
          "box",
        ]);
        assertEquals(code, 1);
        assertStringIncludes(stderr, "exists already");
        await store.succeed(["export", "-f", "--format=zfs", "-o", "box.zfs", "box"]);
      },
    );

    let template = "";
    await t.step("`create` receives it once, and clones it from then on", async () => {
      // What has just been written may still change within a tick of the clock.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      await store.succeed(["create", "-n", "one", "box.zfs"]);
      const hex = (await run(["sha256sum", `${bed.work}/box.zfs`])).slice(0, 64);
      template = `.templates/${hex}`;
      const added = (await dataset.contents()).filter((name) => !before.includes(name));
      assertEquals(
        added.sort(),
        [".receiving", template, `${template}@pristine`, "one"].sort()
          .filter((name) => name !== ".receiving"),
      );
      await store.succeed(["create", "-n", "two", "box.zfs"]);
      for (const name of ["one", "two"]) {
        assertEquals(
          await dataset.property(name, "origin"),
          `${dataset.name}/${template}@pristine`,
        );
        assertEquals(await store.succeed(["start", name, "cat", "/root/kept"]), "mine\n");
        const options = (await dataset.mounted()).get(name) ?? [];
        assert(options.includes("nosuid") && options.includes("nodev"), options.join());
      }
      assertEquals([...(await dataset.mounted()).keys()].sort(), ["box", "one", "two"]);
    });

    await t.step("it says where its image came from, and is one of ours", async () => {
      const get = (property: string): Promise<string> => dataset.property(template, property);
      assertMatch(await get("enroot:uri"), /^oci:.*\/layout:x$/);
      assertMatch(await get("enroot:arch"), /^[a-z0-9]+$/);
      assertMatch(await get("enroot:manifest-digest"), /^sha256:/);
      assertEquals([await get("readonly"), await get("canmount"), await get("enroot:layout")], [
        ...["on", "noauto", "2"],
      ]);
      assertEquals(
        await zfs("get", "-H", "-s", "received", "all", `${dataset.name}/${template}`),
        "",
      );
    });

    await t.step("`start` takes the file, too", async () => {
      assertEquals(await store.succeed(["start", "box.zfs", "cat", "/root/kept"]), "mine\n");
    });

    await t.step("the same by a pipe", async () => {
      const argv = piped(bed.executable, "export --zfs-send box", "import --zfs-recv -n piped");
      const { code, stderr } = await bed.run(argv, { env: store.env });
      assertEquals(code, 0, stderr);
      assertEquals(await store.succeed(["start", "piped", "cat", "/root/kept"]), "mine\n");
      await store.succeed(["remove", "-f", "piped"]);
    });

    const scratch = `${testPool()}/${crypto.randomUUID()}`;
    await zfs("create", "-o", "mountpoint=none", scratch);
    stack.defer(async () => void await zfs("destroy", "-r", scratch));

    await t.step(
      "what is damaged, or no container's, is refused, and nothing is left",
      async () => {
        const whole = await Deno.readFile(`${bed.work}/box.zfs`);
        const put = (name: string, bytes: Uint8Array): Promise<void> =>
          Deno.writeFile(`${bed.work}/${name}`, bytes);
        const flipped = whole.slice();
        const middle = Math.floor(whole.length / 2);
        flipped[middle] = ~(flipped[middle] ?? 0);
        await put("flipped.zfs", flipped);
        await put("cut.zfs", whole.subarray(0, middle));
        await put("short.zfs", whole.subarray(0, 400));
        await put("noise.zfs", crypto.getRandomValues(new Uint8Array(5000)));
        await zfs("create", "-V", "1M", `${scratch}/volume`);
        await zfs("create", `${scratch}/one`);
        await zfs("create", `${scratch}/one/two`);
        await zfs("snapshot", "-r", `${scratch}@a`);
        await zfs("snapshot", "-r", `${scratch}@b`);
        const send = 'file=$0; shift; exec zfs send "$@" > "$file"';
        for (
          const [name, ...args] of [
            ["volume.zfs", `${scratch}/volume@a`],
            ["difference.zfs", "-i", `${scratch}/one@a`, `${scratch}/one@b`],
            ["several.zfs", "-R", `${scratch}/one@b`],
          ] as const
        ) await run(["sh", "-euc", send, `${bed.work}/${name}`, "x", ...args]);
        await bed.own();
        const there = await dataset.contents();
        for (
          const [name, why] of [
            ["flipped.zfs", "checksum"],
            ["cut.zfs", "incomplete"],
            ["short.zfs", "cut off"],
            ["noise.zfs", "is no image"],
            ["volume.zfs", "no file system"],
            ["difference.zfs", "send the whole"],
            ["several.zfs", "multi-snapshot"],
          ] as const
        ) {
          const { code, stderr } = await store.enroot(["create", "-n", "bad", name]);
          assertEquals(code, 1, name);
          assertMatch(stderr, new RegExp(`^\\[ERROR\\] .*${why}`, "m"), name);
          assertEquals(await dataset.contents(), there, name);
        }
      },
    );

    await t.step("a stream brings no property but where it came from", async () => {
      const hostile = `${scratch}/hostile`;
      const set = ["canmount=on", "mountpoint=/etc/x", "setuid=on", "devices=on", "exec=off"];
      // Root receives these, too, and they cannot be inherited.
      const limits = ["filesystem_limit", "quota", "refquota", "refreservation", "reservation"];
      set.push("filesystem_limit=7", "quota=99M", "refquota=99M");
      set.push("refreservation=1M", "reservation=2M");
      const own = ["enroot:layout=1", "enroot:engine-id=x", "com.x:y=z", "enroot:uri=file:/etc/x"];
      const options = [...set, ...own].flatMap((each) => ["-o", each]);
      await zfs("create", "-u", ...options, hostile);
      const folder = await Deno.makeTempDir();
      try {
        await run(["mount", "-t", "zfs", "-o", "zfsutil", hostile, folder]);
        await run(["cp", "/bin/busybox", `${folder}/sh`]);
        await run(["chown", "-R", `${bed.uid}:${bed.uid}`, folder]);
        await run(["umount", folder]);
      } finally {
        await Deno.remove(folder);
      }
      await zfs("snapshot", `${hostile}@s`);
      await run([
        ...["sh", "-euc", 'exec zfs send -p "$1" > "$0"'],
        ...[`${bed.work}/hostile.zfs`, `${hostile}@s`],
      ]);
      await bed.own();
      await store.succeed(["create", "-n", "hostile", "hostile.zfs"]);
      const origin = await dataset.property("hostile", "origin");
      const [name = ""] = origin.split("@");
      assertEquals(await zfs("get", "-H", "-s", "received", "all", name), "");
      const values = (await zfs(
        ...["get", "-H", "-o", "property,value", "-s", "local"],
        ...["all", name],
      )).trim().split("\n").map((line) => line.split("\t")[0]).sort();
      // What ZFS counts itself once anything in the pool is limited, and what is ours.
      const expected = /^(?:(?:filesystem|snapshot)_count|enroot:(?:imported|last_used))$/;
      const left = values.filter((each) =>
        !expected.test(each ?? "") && !limits.includes(each ?? "")
      );
      assertEquals(left, ["canmount", "readonly"]);
      assertEquals(await dataset.property("hostile", "canmount"), "noauto");
      const limited = await zfs("get", "-H", "-o", "value", limits.join(","), name);
      assertEquals(limited, "none\n".repeat(limits.length));
      const mounted = (await dataset.mounted()).get("hostile") ?? [];
      assert(mounted.includes("nosuid") && mounted.includes("nodev"), mounted.join());
      assertEquals(await attempt(["test", "-e", "/etc/x"]).then(({ code }) => code), 1);
    });

    await t.step("files of another user are refused, with what to do", async () => {
      const folder = await Deno.makeTempDir();
      const foreign = `${scratch}/foreign`;
      await zfs("create", "-u", "-o", "canmount=noauto", "-o", "mountpoint=/x", foreign);
      try {
        await run(["mount", "-t", "zfs", "-o", "zfsutil", foreign, folder]);
        await run(["chown", "4711:4711", folder]);
        await run(["umount", folder]);
      } finally {
        await Deno.remove(folder);
      }
      await zfs("snapshot", `${foreign}@s`);
      await run([
        ...["sh", "-euc", 'exec zfs send "$1" > "$0"'],
        ...[`${bed.work}/foreign.zfs`, `${foreign}@s`],
      ]);
      await bed.own();
      const there = await dataset.contents();
      const { code, stderr } = await store.enroot(["create", "-n", "foreign", "foreign.zfs"]);
      assertEquals(code, 1);
      assertMatch(stderr, /^\[ERROR\] the files in this stream belong to .*--format=sqsh/m);
      assertEquals(await dataset.contents(), there);
    });

    await t.step("without a ZFS store there is nothing to receive it into", async () => {
      for (const args of [["create", "box.zfs"], ["export", "--format=zfs", "box"]]) {
        const { code, stderr } = await bed.enroot(args);
        assertEquals(code, 1);
        assertMatch(stderr, /ENROOT_STORAGE_BACKEND=zfs|no container/);
      }
    });
  });
}
