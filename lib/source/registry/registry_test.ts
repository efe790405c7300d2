import { assert, assertEquals, assertRejects } from "@std/assert";
import { run } from "../../../tests/support/command.ts";
import { OciLayout, pushImage } from "../../../tests/support/oci_layout.ts";
import { startRegistry } from "../../../tests/support/registry.ts";
import { EnrootError } from "../../errors.ts";
import type { Image } from "../image.ts";
import type { SourceOptions } from "../options.ts";
import { openImage, resolveDigest } from "../source.ts";
import { type ImageUri, parseImageUri } from "../uri.ts";

/** What a test may do to the registry's answers. */
type Meddle = (answer: Response, path: string, count: number) => Response | Promise<Response>;

/** Something in front of a registry that counts the requests for each path, and may meddle. */
interface Front extends AsyncDisposable {
  readonly host: string;
  readonly requests: ReadonlyMap<string, number>;
  /** How many bodies of blobs were asked for. */
  blobs(): number;
}

function startFront(port: number, meddle: Meddle = (answer) => answer): Front {
  const requests = new Map<string, number>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async ({ url, headers }) => {
      const { pathname } = new URL(url);
      const count = (requests.get(pathname) ?? 0) + 1;
      requests.set(pathname, count);
      const accept = headers.get("accept") ?? "*/*";
      const answer = await fetch(`http://127.0.0.1:${port}${pathname}`, { headers: { accept } });
      return await meddle(answer, pathname, count);
    },
  );
  return {
    host: `127.0.0.1:${server.addr.port}`,
    requests,
    blobs: () =>
      [...requests].reduce((sum, [path, count]) => sum + (path.includes("/blobs/") ? count : 0), 0),
    [Symbol.asyncDispose]: async () => await server.shutdown(),
  };
}

/** A TCP proxy that cuts the first connection on which half a megabyte came back. */
function startCutter(target: string): { host: string } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let cut = false;
  async function pass(client: Deno.TcpConn): Promise<void> {
    using server = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(target.split(":")[1]),
    });
    using _client = client;
    const sent = client.readable.pipeTo(server.writable).catch(() => {});
    let size = 0;
    for await (const bytes of server.readable) {
      size += bytes.length;
      if (!cut && size > 500_000) {
        cut = true;
        return;
      }
      for (let at = 0; at < bytes.length;) at += await client.write(bytes.subarray(at));
    }
    await sent;
  }
  (async () => {
    for await (const client of listener) pass(client).catch(() => {});
  })();
  const { port } = listener.addr;
  return { host: `127.0.0.1:${port}`, [Symbol.dispose]: () => listener.close() };
}

/** A registry with images, and a folder for caches. */
interface Bed {
  readonly folder: string;
  readonly port: number;
  /** The digest of the layer that `team/app` has twice. */
  readonly layer: string;
  options(changes?: Partial<SourceOptions>): SourceOptions;
}

/**
 * Run steps with a registry that holds `team/app:1`, an index within an index for amd64 and arm64,
 * with an attestation, whose layers are one layer twice.
 */
async function withBed(body: (bed: Bed) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-registry-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  // Random, so that it stays large when it is compressed.
  const content = new Uint8Array(1 << 20);
  for (let at = 0; at < content.length; at += 65536) {
    crypto.getRandomValues(content.subarray(at, at + 65536));
  }
  await Deno.writeFile(`${folder}/content`, content);
  await run(["tar", "-cf", `${folder}/layer.tar`, "-C", folder, "content"]);

  const layout = await OciLayout.create(`${folder}/layout`);
  const layer = await layout.putLayer(`${folder}/layer.tar`, "gzip");
  const images = await Promise.all(
    ["amd64", "arm64"].map((architecture) => layout.putImage([layer, layer], { architecture })),
  );
  const attestation = {
    ...await layout.putImage([]),
    platform: { os: "unknown", architecture: "unknown" },
  };
  const inner = await layout.putIndex([attestation, ...images]);
  await layout.tag("app", inner);
  const outer = await layout.putIndex([inner]);
  const registry = stack.use(await startRegistry());
  await pushImage(layout.path, "app", `127.0.0.1:${registry.port}/team/app:inner`);
  // skopeo pushes no index within an index.
  const pushed = await fetch(`http://127.0.0.1:${registry.port}/v2/team/app/manifests/1`, {
    method: "PUT",
    headers: { "content-type": outer.mediaType },
    body: await Deno.readFile(layout.blobPath(outer.digest)),
  });
  assertEquals(pushed.status, 201, await pushed.text());

  let caches = 0;
  await body({
    folder,
    port: registry.port,
    layer: layer.descriptor.digest,
    options: (changes) => ({
      architecture: "amd64",
      cachePath: `${folder}/cache${caches++}`,
      tempPath: folder,
      allowHttp: true,
      connectTimeoutSeconds: 5,
      transferTimeoutSeconds: 0,
      retries: 0,
      maxConnections: 4,
      signal: new AbortController().signal,
      log: () => {},
      ...changes,
    }),
  });
}

const app = ({ host }: { host: string }): ImageUri => parseImageUri(`docker://${host}/team/app:1`);

async function openLayers(image: Image, onProgress = (_: number): void => {}): Promise<string[]> {
  const { signal } = new AbortController();
  const open = image.layers.map(async (layer) => {
    await (await layer.open({ signal, onProgress })).whole;
    // Where it is when nothing of it arrives any more.
    return (await layer.open({ signal })).path;
  });
  return await Promise.all(open);
}

function stored(cache: string): string[] {
  return [...Deno.readDirSync(`${cache}/blobs/sha256`)].map(({ name }) => name).sort();
}

Deno.test("images of a real registry", async (t) => {
  await withBed(async ({ folder, port, layer, options }) => {
    const hex = layer.slice("sha256:".length);

    await t.step("an index within an index leads to the architecture's image", async () => {
      await using front = startFront(port);
      for (const architecture of ["amd64", "arm64"]) {
        const asked = options({ architecture });
        await using image = await openImage(app(front), asked);
        assertEquals(image.architecture, architecture);
        assertEquals(await resolveDigest(app(front), asked), image.manifestDigest);
        const pinned = parseImageUri(`docker://${front.host}/team/app@${image.manifestDigest}`);
        assertEquals(await resolveDigest(pinned, asked), image.manifestDigest);
      }
    });

    await t.step("a layer that an image has twice is fetched once", async () => {
      await using front = startFront(port);
      await using image = await openImage(app(front), options());
      const [first, second] = await openLayers(image);
      assertEquals(first, second);
      assertEquals(front.requests.get(`/v2/team/app/blobs/${layer}`), 1);
    });

    await t.step("two processes that pull one image at once fetch each blob once", async () => {
      // Slow enough that each process comes while the other fetches.
      await using front = startFront(port, async (answer) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return answer;
      });
      const { signal: _, log: __, ...plain } = options();
      const source = import.meta.resolve("../source.ts");
      const uri = import.meta.resolve("../uri.ts");
      const script = `
        const { openImage } = await import(${JSON.stringify(source)});
        const { parseImageUri } = await import(${JSON.stringify(uri)});
        const { signal } = new AbortController();
        await using image = await openImage(
          parseImageUri("docker://${front.host}/team/app:1"),
          { ...${JSON.stringify(plain)}, signal, log: () => {} },
        );
        await Promise.all(
          image.layers.map(async (layer) => (await layer.open({ signal })).whole),
        );`;
      await Deno.writeTextFile(`${folder}/pull.ts`, script);
      const config = new URL("../../../deno.json", import.meta.url).pathname;
      const argv = [Deno.execPath(), "run", "-A", "--no-check", "--config", config];
      await Promise.all([1, 2].map(() => run([...argv, `${folder}/pull.ts`])));
      assertEquals(front.blobs(), 2, "the config and the layer");
      assertEquals(stored(plain.cachePath).length, 5, "two indexes and the manifest, too");
      assert(stored(plain.cachePath).includes(hex));
    });

    await t.step("a layer that is cut off is fetched on, also without retries", async () => {
      await using front = startFront(port);
      using cutter = startCutter(front.host);
      const asked = options({ maxConnections: 1 });
      await using image = await openImage(app(cutter), asked);
      let counted = 0;
      await openLayers(image, (bytes) => counted += bytes);
      assertEquals(counted, image.layers[0]?.size);
      assertEquals(front.requests.get(`/v2/team/app/blobs/${layer}`), 2);
    });

    await t.step("a registry that fails for a while is asked again", async () => {
      await using front = startFront(port, (answer, path, count) => {
        if (path === "/v2/" || count > 2) return answer;
        return new Response(null, { status: 503, headers: { "retry-after": "0" } });
      });
      await using image = await openImage(app(front), options({ retries: 2 }));
      assertEquals((await openLayers(image)).length, 2);
    });

    const lies: [what: string, meddle: Meddle][] = [
      ["a manifest", async (answer, path) => {
        if (!path.endsWith("/manifests/1")) return answer;
        const { headers } = answer;
        return new Response(` ${await answer.text()}`, {
          headers: { ...Object.fromEntries(headers), "content-length": "" },
        });
      }],
      ["a blob", async (answer, path) => {
        if (!path.includes("/blobs/")) return answer;
        const bytes = await answer.bytes();
        bytes[100] = ~(bytes[100] ?? 0);
        return new Response(bytes);
      }],
    ];
    for (const [what, meddle] of lies) {
      await t.step(`${what} with other bytes than its digest's is refused, once`, async () => {
        await using front = startFront(port, meddle);
        const asked = options({ retries: 3 });
        const error = await assertRejects(() => openImage(app(front), asked), EnrootError);
        assertEquals(error.code, "digest-mismatch");
        assertEquals(new Set(front.requests.values()), new Set([1]));
      });
    }

    await t.step("a document that was damaged in the cache is fetched again", async () => {
      await using front = startFront(port);
      const asked = options();
      const { imageId } = await openImage(app(front), asked);
      const path = `${asked.cachePath}/blobs/sha256/${imageId.slice("sha256:".length)}`;
      const { size } = await Deno.stat(path);
      await Deno.writeFile(path, new Uint8Array(size));
      await using again = await openImage(app(front), asked);
      assertEquals(again.imageId, imageId);
      assertEquals(front.blobs(), 2);
    });
  });
});
