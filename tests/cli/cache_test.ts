import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { attempt, run } from "../support/command.ts";
import { type Question, startFaultProxy } from "../support/fault_proxy.ts";
import { openRandomImage } from "../support/random_image.ts";

for (const user of users) {
  Deno.test(`the cache of images, as ${user}`, async (t) => {
    await using image = await openRandomImage([1, 2, 2, 3]);
    await using bed = await Bed.make(user);
    await using proxy = startFaultProxy(image.port);
    const uri = `docker://${proxy.host}/${image.name}`;
    const pinned = `docker://${proxy.host}/team/random@${image.manifest}`;
    const cache = `${bed.home}/.cache/enroot`;
    const blob = (digest: string): string => `${cache}/blobs/sha256/${digest.slice(7)}`;
    const names = (): Promise<unknown> =>
      Deno.readTextFile(`${cache}/index.json`).then((text) =>
        JSON.parse(text).manifests.map((each: { annotations: Record<string, string> }) =>
          each.annotations["org.opencontainers.image.ref.name"]
        )
      );
    async function importImage(uri: string): Promise<{ asked: Question[]; stderr: string }> {
      const before = proxy.requests.length;
      const { code, stderr } = await bed.enroot(["import", "-o", "x.sqsh", uri]);
      assertEquals(code, 0, stderr);
      await Deno.remove(`${bed.work}/x.sqsh`);
      return { asked: proxy.requests.slice(before), stderr };
    }
    async function json(...args: string[]): Promise<Record<string, unknown>[]> {
      return JSON.parse(await bed.succeed(["cache", ...args, "--json"]));
    }

    await t.step("nothing is there at first, and that is no error", async () => {
      assertEquals(await bed.succeed(["cache", "list"]), "");
      assertEquals(await json("list"), []);
      assertEquals(await bed.succeed(["cache", "prune"]), "");
      assertEquals(await bed.succeed(["cache", "verify"]), "");
    });

    await t.step(
      "a layer that an image has twice is fetched once, and waited for by nobody",
      async () => {
        const { asked, stderr } = await importImage(uri);
        assertEquals(asked.length, 5, "a manifest, a config and three layers");
        assertEquals(proxy.blobBytes, image.size);
        assert(!stderr.includes("another process"), stderr);
      },
    );

    await t.step(
      "an image that is all there costs one request, and none by its digest",
      async () => {
        const { asked } = await importImage(uri);
        assertEquals(asked.map(({ path }) => path), ["/v2/team/random/manifests/1"]);
        assertEquals((await importImage(pinned)).asked, []);
        const before = proxy.requests.length;
        assertEquals((await bed.succeed(["digest", pinned])).trim(), image.manifest);
        assertEquals(proxy.requests.length, before);
      },
    );

    await t.step("the list says what belongs to which image, and what is of use", async () => {
      const items = await json("list");
      assertEquals(items.length, 5);
      for (const { kind, state, uris, age } of items) {
        assertEquals([kind, state, uris], ["blob", "warm", [uri, pinned]]);
        assert(typeof age === "number" && age < 600);
      }
      const text = await bed.succeed(["cache", "list"]);
      assertMatch(
        text,
        /^KIND +ID +SIZE +USED +STATE +URI\n(blob +sha256:\w{12} +.* warm .*\n){5}$/,
      );
    });

    await t.step("skopeo, umoci and enroot read it as a layout", async () => {
      const name = `${proxy.host}/${image.name}`;
      assertEquals(await names(), [name, `${proxy.host}/team/random@${image.manifest}`]);
      const out = `${image.folder}/skopeo`;
      await run([
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        `oci:${cache}:${name}`,
        `dir:${out}`,
      ]);
      const copied = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
      assertEquals(copied.layers.map(({ digest }: { digest: string }) => digest), image.layers);
      const listed = await run(["umoci", "list", "--layout", cache]);
      assert(listed.split("\n").includes(name), listed);
      await run(["umoci", "raw", "unpack", "--image", `${cache}:${name}`, `${image.folder}/umoci`]);
      assert((await Deno.stat(`${image.folder}/umoci/file0`)).size === 2 ** 20);
      // Carried to a node that reaches no registry.
      const carried = `${bed.work}/carried`;
      await run(["cp", "-r", cache, carried]);
      await run(["chown", "-R", `${bed.uid}`, carried]);
      const env = { ENROOT_CACHE_PATH: carried };
      await bed.succeed(["import", "-o", "x.sqsh", `oci:${carried}:${name}`]);
      await Deno.remove(`${bed.work}/x.sqsh`);
      const before = proxy.requests.length;
      await bed.succeed(["import", "-o", "x.sqsh", pinned], { env });
      assertEquals(proxy.requests.length, before);
      await Deno.remove(`${bed.work}/x.sqsh`);
      await run(["rm", "-r", carried]);
    });

    await t.step("damaged layers are found, fetched again, and nothing else is", async () => {
      for (const command of [["import", "-o", "x.sqsh"], ["load", "-n", "x"]]) {
        const damaged = [image.layers[1] ?? "", image.layers[3] ?? ""];
        for (const digest of damaged) await damage(blob(digest));
        const before = proxy.requests.length;
        const { code, stderr } = await bed.enroot([...command, uri]);
        assertEquals(code, 0, stderr);
        assertMatch(stderr, /\[WARN\] layer sha256:\w+ of .* was damaged in the cache/);
        const asked = proxy.requests.slice(before).map(({ path }) => path)
          .filter((path) => path.includes("/blobs/"));
        assertEquals(asked.sort(), damaged.map((each) => `/v2/team/random/blobs/${each}`).sort());
        await blobsOf(cache);
      }
      await bed.succeed(["remove", "-f", "x"]);
      await Deno.remove(`${bed.work}/x.sqsh`);
    });

    await t.step("a damaged manifest is fetched again", async () => {
      await damage(blob(image.manifest));
      assertEquals((await importImage(pinned)).asked.length, 1);
      await blobsOf(cache);
    });

    await t.step("verify finds what is damaged, and drops it", async () => {
      assertEquals(await bed.succeed(["cache", "verify"]), "");
      const [digest = ""] = image.layers;
      await damage(blob(digest));
      for (const args of [["--dry-run"], []]) {
        const { code, stdout } = await bed.enroot(["cache", "verify", "--json", ...args]);
        assertEquals(code, 1);
        const { checked, damaged } = JSON.parse(stdout);
        assertEquals([checked, damaged.length, damaged[0].id], [5, 1, digest]);
        assertEquals(damaged[0].outcome, args.length === 0 ? "dropped" : "damaged");
      }
      assertEquals((await blobsOf(cache)).whole.length, 4);
      assertEquals(await names(), [], "an image of which a part is gone has no name");
      await importImage(uri);
      assertEquals(await names(), [`${proxy.host}/${image.name}`]);
    });

    await t.step("prune takes what nobody fetches, with --all what nobody uses", async () => {
      const left = `${cache}/blobs/sha256/${"5".repeat(64)}.partial`;
      await Deno.writeTextFile(left, "some");
      await run(["chown", String(bed.uid), left]);
      using held = await Deno.open(blob(image.layers[0] ?? ""));
      assert(await held.tryLock(false));

      const planned = await json("prune", "--dry-run");
      assertEquals(planned.map(({ kind, state, size }) => [kind, state, size]), [
        ["partial", "cold", 4],
      ]);
      const untimed = (items: Record<string, unknown>[]): unknown[] =>
        items.map(({ age: _, ...rest }) => rest);
      assertEquals(untimed(await json("prune")), untimed(planned));
      assertEquals((await blobsOf(cache)).partial, []);
      assertEquals((await json("prune", "--all")).length, 4);
      const items = await json("list");
      assertEquals(items.map(({ id, state }) => [id, state]), [[image.layers[0], "live"]]);
    });

    await t.step("the limit drops what was not used for longest", async () => {
      await importImage(uri);
      await using other = await openRandomImage([1]);
      const env = { ENROOT_CACHE_MAX_SIZE: "5M" };
      const old = new Date(Date.now() - 3600_000);
      const [lowest = "", , , highest = ""] = image.layers;
      await Deno.utime(blob(lowest), new Date(), new Date(old.getTime() - 1000));
      await Deno.utime(blob(highest), old, old);
      const argv = ["import", "-o", "x.sqsh", `docker://127.0.0.1:${other.port}/${other.name}`];
      await bed.succeed(argv, { env });
      await Deno.remove(`${bed.work}/x.sqsh`);
      const { whole } = await blobsOf(cache);
      for (const gone of [lowest, highest]) assert(!whole.includes(gone.slice(7)));
      assert(whole.includes(image.layers[1]?.slice(7) ?? ""));
      assert(whole.includes(other.layers[0]?.slice(7) ?? ""));
      assertEquals(await names(), [`127.0.0.1:${other.port}/${other.name}`]);
    });

    await t.step("a wrong call says what is wrong with it", async () => {
      for (
        const [args, text] of [
          [[], "needs list, prune or verify"],
          [["empty"], "knows no 'empty'"],
          [["list", "x"], "takes no names"],
          [["list", "--all"], "--all is for"],
          [["list", "--dry-run"], "--dry-run is for"],
        ] as const
      ) {
        const { code, stderr } = await bed.enroot(["cache", ...args]);
        assertEquals(code, 1);
        assert(stderr.includes(text), stderr);
      }
    });
  });
}

Deno.test("fifty times two processes at once fetch what one would", async () => {
  await using image = await openRandomImage([1, 1, 2]);
  await using proxy = startFaultProxy(image.port);
  const folder = await Deno.makeTempDir({ prefix: "zenroot-fifty-" });
  try {
    const rounds = 50;
    const url = (path: string): string => JSON.stringify(import.meta.resolve(path));
    // Each waits at the beginning of a round until the other is there.
    const script = `
      const { openImage } = await import(${url("../../lib/source/source.ts")});
      const { parseImageUri } = await import(${url("../../lib/source/uri.ts")});
      const [own, other] = Deno.args;
      const { signal } = new AbortController();
      for (let round = 0; round < ${rounds}; round++) {
        Deno.writeTextFileSync(\`${folder}/\${own}\${round}\`, "");
        while (!there(\`${folder}/\${other}\${round}\`)) {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        await using image = await openImage(parseImageUri("docker://${proxy.host}/${image.name}"), {
          architecture: "amd64", cachePath: \`${folder}/cache\${round}\`, tempPath: "${folder}",
          allowHttp: true, connectTimeoutSeconds: 30, transferTimeoutSeconds: 0, retries: 0,
          maxConnections: 10, signal, log: () => {},
        });
        await Promise.all(image.layers.map((layer) => layer.open({ signal })));
      }
      function there(path) {
        try { return Deno.statSync(path).isFile; } catch { return false; }
      }`;
    await Deno.writeTextFile(`${folder}/pull.ts`, script);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const argv = [Deno.execPath(), "run", "-A", "--no-check", "--config", config];
    const both = [["a", "b"], ["b", "a"]].map((names) =>
      attempt([...argv, `${folder}/pull.ts`, ...names])
    );
    for (const { code, stderr } of await Promise.all(both)) assertEquals(code, 0, stderr);
    assertEquals(proxy.blobBytes, rounds * image.size);
    for (let round = 0; round < rounds; round++) {
      const { whole, partial } = await blobsOf(`${folder}/cache${round}`);
      assertEquals([whole.length, partial.length], [4, 0]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Change a byte in the middle, and nothing else. */
async function damage(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  const { size } = await file.stat();
  const byte = new Uint8Array(1);
  await file.seek(size >> 1, Deno.SeekMode.Start);
  await file.read(byte);
  await file.seek(size >> 1, Deno.SeekMode.Start);
  await file.write(new Uint8Array([~(byte[0] ?? 0)]));
}
