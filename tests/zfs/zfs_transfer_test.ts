import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { slowUsers } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { openToAll } from "../support/fixture.ts";
import { Host, setRoute, startSshd, startWire } from "../support/ssh_hosts.ts";
import { zfs } from "../support/zfs_bed.ts";

/** Text that does not compress to less than half of it. */
function noise(size: number): string {
  const bytes = new Uint8Array(size / 2);
  for (let at = 0; at < bytes.length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const imageSize = 6 << 20;

/** What a transfer must not leave in a store. */
function leftovers(contents: readonly string[]): string[] {
  return contents.filter((name) => /@enroot-send-|^\.receiving\/|\.tmp/.test(name));
}

for (const user of slowUsers) {
  Deno.test(`zfs:// between two hosts, as ${user}`, async (t) => {
    await using stack = new AsyncDisposableStack();
    const here = stack.use(await Host.make(user));
    const there = stack.use(await Host.make(user));
    const sshd = stack.use(await startSshd(there, here));
    const wire = stack.use(startWire(sshd.port));
    await setRoute(here, wire.port);
    const { work } = here.bed;
    await makeBusyboxImage(`${work}/layout`, "x", { "data/big": noise(imageSize) });
    await openToAll(`${work}/layout`);
    await here.succeed(["load", "-n", "box", `oci:${work}/layout:x`]);
    await here.succeed(["start", "--rw", "box", "sh", "-c", "echo first > /root/kept"]);
    const kept = (host: Host, name: string): Promise<string> =>
      host.succeed(["start", name, "cat", "/root/kept"]);
    /** Bytes on the wire of what is done. */
    const cost = async (work: () => Promise<unknown>): Promise<number> => {
      const before = wire.bytes;
      await work();
      return wire.bytes - before;
    };

    let full = 0;
    await t.step("`export` pushes a container as it is now, under another name", async () => {
      full = await cost(() => here.succeed(["export", "box", "zfs://there/ there's $HOME"]));
      assert(full > imageSize / 2, `${full} bytes`);
      assertEquals(await there.succeed(["list"]), " there's $HOME\n");
      assertEquals(await kept(there, " there's $HOME"), "first\n");
      assertEquals(leftovers([...await here.contents(), ...await there.contents()]), []);
    });

    await t.step("properties come along, and nothing of an image is claimed", async () => {
      const names = (await there.contents()).filter((name) => /^\.templates\/[^@]*$/.test(name));
      assertEquals(names.length, 1);
      const [template = ""] = names;
      assertMatch(template, /-received$/);
      for (const name of [template, ":20there:27s:20:24HOME"]) {
        assertMatch(await there.dataset.property(name, "enroot:uri"), /^oci:.*\/layout:x$/);
        assertMatch(await there.dataset.property(name, "enroot:manifest-digest"), /^sha256:/);
        assertEquals(await there.dataset.property(name, "canmount"), "noauto");
      }
      assertEquals(await there.dataset.property(template, "readonly"), "on");
    });

    await t.step("what shares its template goes as a difference, with the change", async () => {
      await here.succeed(["start", "--rw", "box", "sh", "-c", "echo second > /root/kept"]);
      let said = "";
      const bytes = await cost(async () => {
        said = await here.succeed(["export", "-o", "zfs://there", "box"]);
      });
      assertStringIncludes(said, "only what differs");
      assert(bytes * 10 < full, `${bytes} of ${full} bytes`);
      assertEquals(await kept(there, "box"), "second\n");
      const [one, two] = [":20there:27s:20:24HOME", "box"].map((name) =>
        there.dataset.property(name, "origin")
      );
      assertEquals(await one, await two);
    });

    await t.step(
      "a taken name is refused before anything goes, and replaced with --force",
      async () => {
        const bytes = await cost(async () => {
          const { code, stderr } = await here.enroot(["export", "box", "zfs://there/box"]);
          assertEquals(code, 1);
          assertMatch(stderr, /^\[ERROR\] there: container 'box' exists already/m);
        });
        assert(bytes * 10 < full, `${bytes} of ${full} bytes`);
        await here.succeed(["start", "--rw", "box", "sh", "-c", "echo third > /root/kept"]);
        await here.succeed(["export", "-f", "box", "zfs://there/box"]);
        assertEquals(await kept(there, "box"), "third\n");
        assertEquals(leftovers([...await here.contents(), ...await there.contents()]), []);
      },
    );

    await t.step("`load` pulls what was changed there, on top of our own template", async () => {
      await there.succeed(["start", "--rw", "box", "sh", "-c", "echo fourth > /root/kept"]);
      const bytes = await cost(() => here.succeed(["load", "-n", "back", "zfs://there/box"]));
      assert(bytes * 10 < full, `${bytes} of ${full} bytes`);
      assertEquals(await kept(here, "back"), "fourth\n");
      const origin = await here.dataset.property("back", "origin");
      assertEquals(origin, await here.dataset.property("box", "origin"));
      await here.succeed(["load", "zfs://there/ there's $HOME"]);
      assertEquals(await kept(here, " there's $HOME"), "first\n");
    });

    await t.step("`import` writes a .zfs or a .sqsh file", async () => {
      await here.succeed(["import", "zfs://there/box"]);
      await here.succeed(["create", "-n", "of-zfs", "box.zfs"]);
      assertEquals(await kept(here, "of-zfs"), "fourth\n");
      await here.succeed(["import", "-o", "box.sqsh", "zfs://there/box"]);
      const magic = (await Deno.readFile(`${work}/box.sqsh`)).subarray(0, 4);
      assertEquals(new TextDecoder().decode(magic), "hsqs");
      await here.succeed(["create", "-n", "of-sqsh", "box.sqsh"]);
      assertEquals(await kept(here, "of-sqsh"), "fourth\n");
      assertEquals(leftovers([...await here.contents(), ...await there.contents()]), []);
      assertEquals((await here.succeed(["list"])).includes("enroot-"), false);
    });

    await t.step("what is cut is said to be, and gone on with", async () => {
      await makeBusyboxImage(`${work}/other`, "x", { "data/big": noise(imageSize) });
      await openToAll(`${work}/other`);
      await here.succeed(["load", "-n", "cut", `oci:${work}/other:x`]);
      await here.succeed(["start", "--rw", "cut", "sh", "-c", "cat /data/big > /root/big"]);
      // In its template, then in what it has beside it.
      for (const part of [0.5, 1]) {
        wire.limit = wire.bytes + full * part;
        const { code, stderr } = await here.enroot(["export", "cut", "zfs://there"]);
        assertEquals(code, 1, `${part}`);
        assertMatch(stderr, /^\[ERROR\] the connection to there ended .* goes on where it was/m);
        wire.limit = Infinity;
        assertEquals((await there.succeed(["list"])).includes("cut"), false);
      }
      let said = "";
      const bytes = await cost(async () => {
        said = await here.succeed(["export", "cut", "zfs://there"]);
      });
      assertStringIncludes(said, "went on where it was cut");
      // What was on its way in buffers when it was cut goes again, and that can be much of so little.
      assert(bytes < full * 1.1, `${bytes} of ${2 * full} bytes`);
      const sums = await Promise.all(
        [here, there].map((host) => host.run(["sha256sum", `${host.dataset.path}/cut/root/big`])),
      );
      assertEquals(sums[0]?.stdout.slice(0, 64), sums[1]?.stdout.slice(0, 64));
      assertEquals(leftovers([...await here.contents(), ...await there.contents()]), []);
    });

    await t.step("a container that changed after a cut is sent as it is now", async () => {
      await here.succeed(["start", "--rw", "box", "sh", "-c", "cat /data/big > /root/big"]);
      wire.limit = wire.bytes + full * 0.5;
      assertEquals((await here.enroot(["export", "box", "zfs://there/now"])).code, 1);
      wire.limit = Infinity;
      await here.succeed(["start", "--rw", "box", "sh", "-c", "echo fifth > /root/kept"]);
      await here.succeed(["export", "box", "zfs://there/now"]);
      assertEquals(await kept(there, "now"), "fifth\n");
      assertEquals(leftovers(await here.contents()), []);
    });

    await t.step("a disk that is full there: it is said, and nothing is left or lost", async () => {
      const names = await there.succeed(["list"]);
      const used = Number(await there.dataset.property("", "used").catch(() => "0")) ||
        Number((await zfs("get", "-Hp", "-o", "value", "used", there.dataset.name)).trim());
      await zfs("set", `quota=${used + (2 << 20)}`, there.dataset.name);
      const before = await there.contents();
      const { code, stderr } = await here.enroot(["export", "box", "zfs://there/full"]);
      assertEquals(code, 1);
      assertMatch(stderr, /^\[ERROR\] there: the container has no room in .* MiB are needed/m);
      await zfs("set", "quota=none", there.dataset.name);
      assertEquals(await there.succeed(["list"]), names);
      assertEquals(leftovers(await there.contents()), leftovers(before));
    });

    await t.step("another end that cannot: each says why", async () => {
      const refused = async (args: readonly string[], why: RegExp): Promise<void> => {
        const { code, stderr } = await here.enroot(args);
        assertEquals(code, 1, args.join(" "));
        assertMatch(stderr, why);
      };
      await refused(["load", "zfs://there/nobody"], /^\[ERROR\] there: no container 'nobody'/m);
      await refused(["export", "nobody", "zfs://there"], /^\[ERROR\] no container 'nobody'/m);
      await there.configure(["ENROOT_STORAGE_BACKEND dir"]);
      await refused(["load", "-n", "x", "zfs://there/box"], /there: this host has no ZFS store/);
      await refused(["export", "box", "zfs://there/x"], /there: this host has no ZFS store/);
      await there.configure();
      const { executable } = there.bed;
      await Deno.rename(executable, `${executable}.away`);
      await refused(["load", "-n", "x", "zfs://there/box"], /there is no enroot in the PATH/);
      await Deno.rename(`${executable}.away`, executable);
      await setRoute(here, wire.port, ["HostKeyAlias unknown"]);
      await setRoute(here, wire.port, ["UserKnownHostsFile /dev/null"]);
      await refused(["load", "-n", "x", "zfs://there/box"], /cannot reach there: .*[Hh]ost key/);
      await setRoute(here, 1);
      await refused(["load", "-n", "x", "zfs://there/box"], /cannot reach there: .*refused/);
      await setRoute(here, wire.port);
      await refused(["load", "zfs://-oProxyCommand=id/x"], /names no host/);
      assertEquals((await here.succeed(["list"])).split("\n").includes("x"), false);
    });
  });
}
