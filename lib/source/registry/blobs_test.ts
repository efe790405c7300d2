import { assert, assertEquals, assertRejects } from "@std/assert";
import { blobsOf } from "../../../tests/support/cache_folder.ts";
import { type Fault, startFaultProxy } from "../../../tests/support/fault_proxy.ts";
import { openRandomImage } from "../../../tests/support/random_image.ts";
import { EnrootError } from "../../errors.ts";
import { parseDigest } from "../../oci/digest.ts";
import type { Descriptor } from "../../oci/manifest.ts";
import { createSha256 } from "../../std/node.ts";
import { arrivedBeyond } from "../../streams/arrival.ts";
import { readRegion } from "../../streams/file_region.ts";
import type { OpenedLayer } from "../image.ts";
import { type AskForBlob, RegistryBlobs } from "./blobs.ts";

const mebibyte = 1 << 20;
const { signal } = new AbortController();

Deno.test("the blobs of a repository", async (t) => {
  await using image = await openRandomImage([2, 1, 2, 1]);
  const layers = image.layers.map((text, index): Descriptor => ({
    digest: parseDigest(text),
    size: image.sizes[index] ?? 0,
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  }));
  const size = image.sizes.reduce((sum, each) => sum + each, 0);
  const folder = await Deno.makeTempDir();
  const told: string[] = [];
  let caches = 0;

  function open(
    ask: AskForBlob,
    { maxConnections = 10, cache = `${folder}/${caches++}` } = {},
  ): RegistryBlobs {
    return new RegistryBlobs(ask, "the image", {
      architecture: "amd64",
      cachePath: cache,
      tempPath: folder,
      allowHttp: true,
      connectTimeoutSeconds: 5,
      stallTimeoutSeconds: 0.5,
      transferTimeoutSeconds: 0,
      retries: 0,
      maxConnections,
      signal,
      log: (_, message) => void told.push(message),
    });
  }

  function through(host: string): AskForBlob {
    return (digest, headers) =>
      fetch(`http://${host}/v2/team/random/blobs/${digest}`, { headers: { ...headers } });
  }

  /** Open all layers, and wait until they are whole. */
  async function openAll(blobs: RegistryBlobs): Promise<void> {
    await Promise.all(layers.map(async (layer) => (await blobs.open(layer, { signal })).whole));
  }

  async function pull(fault: (path: string, count: number) => Fault | undefined): Promise<number> {
    await using proxy = startFaultProxy(image.port, ({ path, count }) => fault(path, count));
    const cache = `${folder}/${caches++}`;
    using blobs = open(through(proxy.host), { cache });
    await openAll(blobs);
    const { whole, partial } = await blobsOf(cache);
    assertEquals([whole.length, partial.length], [4, 0]);
    return proxy.blobBytes;
  }

  try {
    await t.step("a connection that stalls is given up, and gone on with", async () => {
      const fault = { stallAfter: mebibyte };
      assertEquals(await pull((_, count) => count === 1 ? fault : undefined), size);
      assert(told.some((line) => line.includes("no byte came for 0.5 s; resuming")), `${told}`);
    });

    await t.step("one that brings nothing before it stalls is an error", async () => {
      const failed = await assertRejects(() => pull(() => ({ stallAfter: 1000 })), EnrootError);
      assert(failed.message.includes("no byte came for 0.5 s"), failed.message);
    });

    await t.step("one that brings a little now and then is given up, too", async () => {
      const drip = { bytes: 100, milliseconds: 50 };
      const failed = await assertRejects(() => pull(() => ({ drip })), EnrootError);
      assert(/only \d+ bytes came in 0.5 s/.test(failed.message), failed.message);
    });

    await t.step("a layer is given away while it arrives, and says when it is whole", async () => {
      const drip = { bytes: 256 * 1024, milliseconds: 20 };
      await using proxy = startFaultProxy(image.port, () => ({ drip }));
      const cache = `${folder}/${caches++}`;
      using blobs = open(through(proxy.host), { cache });
      const [layer] = layers;
      assert(layer !== undefined);
      const opened = await blobs.open(layer, { signal });
      assert(opened.arrival !== undefined && opened.whole !== undefined);
      assertEquals((await blobsOf(cache)).whole, []);
      const hash = createSha256();
      for await (const bytes of readWhenThere(opened)) hash.update(bytes);
      assertEquals(`sha256:${hash.digest("hex")}`, layer.digest);
      await opened.whole;
      assertEquals((await blobsOf(cache)).whole.length, 1);
      assertEquals(opened.failure?.(), undefined);
      opened.release?.();
    });

    await t.step("one that has to begin anew is no use to who has begun to read it", async () => {
      const fault = { cutAfter: 1.5 * mebibyte };
      await using proxy = startFaultProxy(
        image.port,
        ({ count }) => count === 1 ? fault : { ignoresRange: true },
      );
      using blobs = open(through(proxy.host));
      const [layer] = layers;
      assert(layer !== undefined);
      const opened = await blobs.open(layer, { signal });
      await opened.whole;
      const failure = opened.failure?.();
      assertEquals(failure instanceof EnrootError ? failure.code : undefined, "begun-anew");
      const read = async (): Promise<void> => void await Array.fromAsync(readWhenThere(opened));
      await assertRejects(read, EnrootError, "broke off");
      opened.release?.();
    });

    for (const [limit, most] of [[1, 1], [3, 3], [0, 4]] as const) {
      await t.step(`with a limit of ${limit}, ${most} are fetched at once`, async () => {
        await using proxy = startFaultProxy(image.port);
        const ask = through(proxy.host);
        let [now, seen] = [0, 0];
        using blobs = open(async (...question) => {
          seen = Math.max(seen, ++now);
          await new Promise((resolve) => setTimeout(resolve, 100));
          const answer = new Response(await (await ask(...question)).bytes());
          now--;
          return answer;
        }, { maxConnections: limit });
        await openAll(blobs);
        assertEquals([seen, blobs.fetched], [most, 4]);
      });
    }

    await t.step(
      "a damaged layer is known by its failure, and only one that was there",
      async () => {
        await using proxy = startFaultProxy(image.port);
        const cache = `${folder}/${caches++}`;
        const [layer] = layers;
        assert(layer !== undefined);
        for (const code of [undefined, "cache-damaged"]) {
          using blobs = open(through(proxy.host), { cache });
          const opened = await blobs.open(layer, { signal });
          await opened.whole;
          assertEquals(opened.failure?.(), undefined);
          await blobs.discard(layer);
          const failure = opened.failure?.();
          assertEquals(failure instanceof EnrootError ? failure.code : undefined, code);
          assertEquals((await blobsOf(cache)).whole, []);
          opened.release?.();
          const again = await open(through(proxy.host), { cache }).open(layer, { signal });
          await again.whole;
          again.release?.();
        }
      },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The bytes of a layer that arrives, by a reader that lets this thread go on with bringing them. */
async function* readWhenThere(
  opened: Omit<OpenedLayer, "compression">,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  assert(opened.arrival !== undefined);
  for (let at = 0; at < opened.size;) {
    let end = at;
    const stop = new Error("nothing more is there");
    try {
      end = Math.min(
        opened.size,
        arrivedBeyond(opened.arrival, at, () => {
          throw stop;
        }),
      );
    } catch (error) {
      if (error !== stop) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
      continue;
    }
    yield* readRegion({ path: opened.path, offset: at, size: end - at }, "the layer");
    at = end;
  }
}
