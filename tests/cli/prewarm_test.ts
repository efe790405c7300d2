import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { run } from "../support/command.ts";
import { startFaultProxy } from "../support/fault_proxy.ts";
import { OciLayout, pushImage, type StoredLayer } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";

/** Images in a registry that stand on one large layer: `team/<name>:1`. */
interface Images extends AsyncDisposable {
  readonly port: number;
  /** The digest of the layer that all have. */
  readonly base: string;
  /** How many bytes all blobs have, each once. */
  readonly size: number;
}

const names = ["a", "b", "c"];

async function openImages(): Promise<Images> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const folder = await Deno.makeTempDir({ prefix: "zenroot-prewarm-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const layout = await OciLayout.create(`${folder}/layout`);
  const layer = async (name: string, mebibytes: number): Promise<StoredLayer> => {
    const file = `${folder}/${name}`;
    await run([
      ...["dd", "if=/dev/urandom", `of=${file}`, "bs=1M", `count=${mebibytes}`, "status=none"],
    ]);
    await run(["tar", "-cf", `${folder}/tar`, "-C", folder, name]);
    return await layout.putLayer(`${folder}/tar`, "gzip");
  };
  const base = await layer("base", 4);
  let size = base.descriptor.size;
  for (const name of names) {
    const own = await layer(`own-${name}`, 1);
    const manifest = await layout.putImage([base, own], { config: { Cmd: [name] } });
    const { config } = JSON.parse(await Deno.readTextFile(layout.blobPath(manifest.digest)));
    size += own.descriptor.size + config.size;
    await layout.tag(name, manifest);
    await pushImage(layout.path, name, `127.0.0.1:${registry.port}/team/${name}:1`);
  }
  const kept = stack.move();
  return {
    port: registry.port,
    base: base.descriptor.digest,
    size,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

type Event = Readonly<Record<string, unknown>>;

const eventsOf = (stdout: string): Event[] =>
  stdout.trimEnd().split("\n").map((line) => JSON.parse(line));

for (const user of users) {
  Deno.test(`a list of images is made ready in the cache, as ${user}`, async (t) => {
    await using images = await openImages();
    await using bed = await Bed.make(user);
    await using proxy = startFaultProxy(images.port);
    const uris = names.map((name) => `docker://${proxy.host}/team/${name}:1`);
    const cache = `${bed.home}/.cache/enroot`;
    await Deno.writeTextFile(
      `${bed.work}/list`,
      `# what the jobs of tonight need\n\n${uris.join("\n")}\n${uris[0]}\n`,
    );
    const before = await bed.contents();

    await t.step("all at once, and what they share is fetched once", async () => {
      const { code, stdout, stderr } = await bed.enroot(["prewarm", "list"]);
      assertEquals(code, 0, stderr);
      const lines = stdout.trimEnd().split("\n").sort();
      assertEquals(lines.length, 3);
      for (const [index, line] of lines.entries()) {
        assert(line.startsWith(`ok    ${uris[index]}: 2 layers, 5.0 MiB; `), line);
      }
      assertMatch(stderr, /^\[INFO\] 3 images ready: 7\.0 MiB fetched in [\d.]+ s\n$/);
      assertEquals(proxy.blobBytes, images.size);
      const asked = proxy.requests.filter(({ path }) => path.endsWith(images.base));
      assertEquals(asked.length, 1);
      const { whole, partial } = await blobsOf(cache);
      assertEquals([whole.length, partial.length], [1 + 3 * 3, 0], "a manifest, a config, a layer");
      assertEquals(await bed.contents(), before, "no file is written, no container made");
    });

    await t.step("imports then fetch no more than a manifest", async () => {
      const asked = proxy.requests.length;
      await bed.succeed(["import", "-o", "a.sqsh", uris[0] ?? ""]);
      const paths = proxy.requests.slice(asked).map(({ path }) => path);
      assertEquals(paths, ["/v2/team/a/manifests/1"]);
      await Deno.remove(`${bed.work}/a.sqsh`);
    });

    await t.step("what is there is said to have been there, also from standard input", async () => {
      const child = bed.start([bed.executable, "prewarm", "-j", "1", "-"], { stdin: "piped" });
      const output = child.output();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(uris.join("\r\n")));
      await writer.close();
      const { code, stdout } = await output;
      const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
      assertEquals(code, 0);
      // One after the other, in the list's order.
      assertEquals(lines, uris.map((uri) => `ok    ${uri}: 2 layers, 5.0 MiB; it was there`));
    });

    await t.step("what fails is said, the rest is done, and the exit code is 1", async () => {
      const missing = `docker://${proxy.host}/team/missing:1`;
      const closed = "docker://127.0.0.1:1/a:1";
      const list = [missing, uris[1], "ubuntu", closed, uris[2], "oci:/nonexistent"].join("\n");
      const { code, stdout, stderr } = await bed.enroot(["prewarm", "-"], { input: list });
      assertEquals(code, 1);
      const lines = new Map(
        stdout.trimEnd().split("\n").map((line) => {
          const [, uri = "", said = ""] = /^((?:ok|fail) +\S+): (.*)$/.exec(line) ?? [];
          return [uri, said];
        }),
      );
      assertEquals(lines.size, 6, stdout);
      assertMatch(lines.get(`fail  ${missing}`) ?? "", /there is no such image or tag/);
      assertMatch(lines.get(`fail  ${closed}`) ?? "", /cannot reach 127\.0\.0\.1:1/);
      assertMatch(lines.get("fail  ubuntu") ?? "", /must begin with docker:/);
      assertMatch(lines.get("fail  oci:/nonexistent") ?? "", /--format=squashfs makes a file/);
      assertEquals([uris[1], uris[2]].map((uri) => lines.has(`ok    ${uri}`)), [true, true]);
      assertMatch(stderr, /^\[ERROR\] 4 of 6 images failed, 2 ready: 0 B fetched in [\d.]+ s$/m);
    });

    await t.step("--json tells a program what happens, one object a line", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/json` };
      const input = `${uris[0]}\nno image\n`;
      const { code, stdout } = await bed.enroot(["prewarm", "--json", "-j", "1", "-"], {
        env,
        input,
      });
      assertEquals(code, 1);
      const [begin, ready, other, failed, end, ...more] = eventsOf(stdout);
      assertEquals(more, []);
      assertEquals(begin, { event: "begin", uri: uris[0], line: 1 });
      const { image, manifest, bytes, fetched, seconds, ...rest } = ready ?? {};
      assertEquals(rest, {
        ...{ event: "ready", uri: uris[0], line: 1, arch: "amd64", layers: 2, new: true },
        file: null,
      });
      assert([image, manifest].every((each) => /^sha256:[0-9a-f]{64}$/.test(String(each))));
      assert(bytes === fetched && typeof bytes === "number" && bytes > 5 << 20);
      assert(typeof seconds === "number" && seconds > 0);
      assertEquals(other, { event: "begin", uri: "no image", line: 2 });
      const { message, seconds: _, ...why } = failed ?? {};
      assertEquals(why, { event: "failed", uri: "no image", line: 2, code: "bad-uri" });
      assertMatch(String(message), /must begin with docker:/);
      const { seconds: took, ...sum } = end ?? {};
      assertEquals(sum, { event: "end", images: 2, ready: 1, failed: 1, fetched });
      assert(typeof took === "number" && took >= seconds);
    });

    await t.step("--format=squashfs writes a file of each, as import does", async () => {
      const { code, stdout } = await bed.enroot(["prewarm", "--format=squashfs", "list"]);
      assertEquals(code, 0, stdout);
      const written = [...Deno.readDirSync(bed.work)].map(({ name }) => name)
        .filter((name) => name.endsWith(".sqsh")).sort();
      assertEquals(written, ["team+a+1.sqsh", "team+b+1.sqsh", "team+c+1.sqsh"]);
      const again = await bed.enroot(["prewarm", "--format=squashfs", "list"]);
      assertEquals(again.code, 1);
      assertMatch(again.stdout, /^fail {2}\S+: .*team\+a\+1\.sqsh.*exists/m);
      for (const name of written) await Deno.remove(`${bed.work}/${name}`);
      assertEquals(await bed.contents(), before);
    });

    await t.step("Ctrl-C ends all, and what arrived is gone on with", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/ended` };
      let isSlow = true;
      await using slow = startFaultProxy(
        images.port,
        ({ path }) =>
          isSlow && path.includes("/blobs/")
            ? { drip: { bytes: 32_768, milliseconds: 50 } }
            : undefined,
      );
      const list = names.map((name) => `docker://${slow.host}/team/${name}:1`).join("\n");
      await Deno.writeTextFile(`${bed.temp}/slow`, list);
      const argv = [bed.executable, "prewarm", `${bed.temp}/slow`];
      const child = bed.start(argv, { env });
      const output = child.output();
      for (const end = Date.now() + 20_000; slow.blobBytes < 2 << 20 && Date.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      child.kill("SIGINT");
      const { signal, stdout, stderr } = await output;
      assertEquals(signal, "SIGINT", new TextDecoder().decode(stderr));
      assert(!new TextDecoder().decode(stdout).includes("fail"), "what was ended did not fail");
      assert(!new TextDecoder().decode(stderr).includes("[ERROR]"));
      assert((await blobsOf(env.ENROOT_CACHE_PATH)).partial.length > 0);
      isSlow = false;
      // What was on its way to the process that is gone.
      await new Promise((resolve) => setTimeout(resolve, 200));
      const sent = slow.blobBytes;
      const again = await bed.run(argv, { env });
      assertEquals(again.code, 0, again.stderr);
      assert(slow.blobBytes - sent < images.size - (1 << 20), "it was gone on with");
      assertEquals((await blobsOf(env.ENROOT_CACHE_PATH)).partial, []);
      await Deno.remove(`${bed.temp}/slow`);
    });

    await t.step(
      "images that have no room beside each other are said to be gone again",
      async () => {
        const env = { ENROOT_CACHE_PATH: `${bed.home}/small`, ENROOT_CACHE_MAX_SIZE: "6M" };
        const { code, stdout } = await bed.enroot(["prewarm", "-j", "1", "list"], { env });
        assertEquals(code, 1);
        assertMatch(
          stdout,
          /^fail {2}\S+\/team\/a:1: its blobs had to go again.*ENROOT_CACHE_MAX/m,
        );
      },
    );
  });
}

Deno.test("one limit of connections is for all images of a list", async () => {
  await using images = await openImages();
  await using bed = await Bed.make(users.at(-1) ?? "root");
  let [open, most] = [0, 0];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async ({ url }) => {
      const { pathname } = new URL(url);
      const isBlob = pathname.includes("/blobs/");
      if (isBlob) most = Math.max(most, ++open);
      const answer = await fetch(`http://127.0.0.1:${images.port}${pathname}`, {
        headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
      });
      const bytes = await answer.bytes();
      if (isBlob) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        open--;
      }
      const type = answer.headers.get("content-type") ?? "";
      return new Response(bytes, { headers: { "content-type": type } });
    },
  );
  const { port } = server.addr;
  const input = names.map((name) => `docker://127.0.0.1:${port}/team/${name}:1`).join("\n");
  for (const [limit, expected] of [["1", 1], ["2", 2]] as const) {
    most = 0;
    const env = { ENROOT_CACHE_PATH: `${bed.home}/${limit}`, ENROOT_MAX_CONNECTIONS: limit };
    const { code, stdout } = await bed.enroot(["prewarm", "-"], { env, input });
    assertEquals([code, most], [0, expected], stdout);
  }
});

Deno.test("a wrong call of prewarm says what is wrong with it", async () => {
  await using bed = await Bed.make(users.at(-1) ?? "root");
  await Deno.writeTextFile(`${bed.work}/empty`, "# nothing\n");
  for (
    const [args, text] of [
      [[], "needs a list"],
      [["a", "b"], "takes one list"],
      [["-j", "0", "empty"], "--jobs must be a number from 1"],
      [["-j", "x", "empty"], "--jobs must be a number from 1"],
      [["--format=oci", "empty"], "unknown format 'oci'"],
      [["--format=pointer", "empty"], "a pointer needs a ZFS store"],
      [["missing"], "cannot read the list missing"],
    ] as const
  ) {
    const { code, stderr } = await bed.enroot(["prewarm", ...args]);
    assertEquals(code, 1);
    assert(stderr.includes(text), stderr);
  }
  const { code, stdout, stderr } = await bed.enroot(["prewarm", "empty"]);
  assertEquals([code, stdout], [0, ""]);
  assertMatch(stderr, /\[WARN\] the list names no image/);
});
