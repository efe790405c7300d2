import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { attempt, run } from "../support/command.ts";
import { startFaultProxy } from "../support/fault_proxy.ts";
import { openRandomImage } from "../support/random_image.ts";

for (const user of users) {
  Deno.test(`a layer is applied while it arrives, as ${user}`, async (t) => {
    await using image = await openRandomImage([6, 1]);
    const [layer = ""] = image.layers;
    await using bed = await Bed.make(user);
    const plain = `docker://127.0.0.1:${image.port}/${image.name}`;
    await bed.succeed(["load", "-n", "whole", plain], {
      env: { ENROOT_CACHE_PATH: `${bed.home}/cache-whole` },
    });
    const expected = await sums(`${bed.data}/whole`);
    let caches = 0;

    await t.step("its files are there before its last bytes are", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}` };
      const drip = { bytes: 64 * 1024, milliseconds: 25 };
      await using proxy = startFaultProxy(
        image.port,
        ({ path }) => path.endsWith(layer) ? { drip } : undefined,
      );
      const uri = `docker://${proxy.host}/${image.name}`;
      const child = bed.start([bed.executable, "load", "-n", "c", uri], { env });
      const output = child.output();
      let sentAtFirst: number | undefined;
      for (const end = Date.now() + 30_000; Date.now() < end && sentAtFirst === undefined;) {
        const found = await attempt(["find", bed.data, "-path", "*.staging*", "-name", "file0"]);
        if (found.stdout !== "") sentAtFirst = proxy.blobBytes;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const { code, stderr } = await output;
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      assert(
        sentAtFirst !== undefined && sentAtFirst < 4.5 * 2 ** 20,
        `${sentAtFirst} bytes had been sent when there was a file`,
      );
      assertEquals(await sums(`${bed.data}/c`), expected);
      const { whole, partial } = await blobsOf(env.ENROOT_CACHE_PATH);
      assertEquals([whole.includes(layer.slice(7)), partial], [true, []]);
      await bed.succeed(["remove", "-f", "c"]);
    });

    await t.step(
      "one that cannot be gone on with where it is cut off is applied anew",
      async () => {
        const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}` };
        await using proxy = startFaultProxy(image.port, ({ path, count }) => {
          if (!path.endsWith(layer)) return undefined;
          return count === 1 ? { cutAfter: 3 * 2 ** 20 } : { ignoresRange: true };
        });
        const argv = ["load", "-n", "c", `docker://${proxy.host}/${image.name}`];
        const { code, stderr } = await bed.enroot(argv, { env });
        assertEquals(code, 0, stderr);
        assertMatch(stderr, /\[WARN\] .*applied anew/);
        assertEquals(await sums(`${bed.data}/c`), expected);
        assertEquals((await blobsOf(env.ENROOT_CACHE_PATH)).partial, []);
        await bed.succeed(["remove", "-f", "c"]);
      },
    );

    await t.step(
      "one that is dropped before its turn is waited for, and nothing else",
      async () => {
        const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}` };
        await using twice = await openRandomImage([2, 6]);
        const [low = "", high = ""] = twice.layers;
        const drip = { bytes: 64 * 1024, milliseconds: 40 };
        await using proxy = startFaultProxy(twice.port, ({ path, count }) => {
          if (path.endsWith(low)) return { drip };
          if (!path.endsWith(high)) return undefined;
          return count === 1 ? { cutAfter: 3 * 2 ** 20 } : { ignoresRange: true };
        });
        const argv = ["load", "-n", "c", `docker://${proxy.host}/${twice.name}`];
        const { code, stderr } = await bed.enroot(argv, { env });
        assertEquals(code, 0, stderr);
        assertEquals(stderr.includes("applied anew"), false, stderr);
        assertEquals(proxy.requests.filter(({ path }) => path.endsWith(low)).length, 1);
        await bed.succeed(["remove", "-f", "c"]);
      },
    );

    await t.step("one that was read wrong before it could be checked is had anew", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}` };
      await using front = startLateFront(image.port, layer);
      const argv = ["load", "-n", "c", `docker://${front.host}/${image.name}`];
      const { code, stderr } = await bed.enroot(argv, { env });
      assertEquals(code, 0, stderr);
      assertEquals(await sums(`${bed.data}/c`), expected);
      assertEquals((await blobsOf(env.ENROOT_CACHE_PATH)).partial, []);
      await bed.succeed(["remove", "-f", "c"]);
    });

    await t.step("one that comes wrong is refused, and nothing of it is kept", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}` };
      const before = await bed.contents();
      await using proxy = startFaultProxy(
        image.port,
        ({ path, count }) =>
          path.endsWith(layer) && count === 1 ? { wrongAt: 2.5 * 2 ** 20 } : undefined,
      );
      const argv = ["load", "-n", "c", `docker://${proxy.host}/${image.name}`];
      const { code, stderr } = await bed.enroot(argv, { env });
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /^\[ERROR\] layer sha256:.* the data is damaged$/m);
      assertEquals(await bed.contents(), before);
      assertEquals((await blobsOf(env.ENROOT_CACHE_PATH)).partial, []);
      await bed.succeed(argv, { env });
      assertEquals(await sums(`${bed.data}/c`), expected);
      await bed.succeed(["remove", "-f", "c"]);
    });

    await t.step(
      "one that stops in the middle ends in an error, and leaves no container",
      async () => {
        const env = {
          ENROOT_CACHE_PATH: `${bed.home}/cache-${caches++}`,
          ENROOT_TRANSFER_RETRIES: "0",
          ENROOT_TRANSFER_TIMEOUT: "3",
        };
        const before = await bed.contents();
        await using proxy = startFaultProxy(
          image.port,
          ({ path }) => path.endsWith(layer) ? { stallAfter: 3 * 2 ** 20 } : undefined,
        );
        const argv = ["load", "-n", "c", `docker://${proxy.host}/${image.name}`];
        const { code, stderr } = await bed.enroot(argv, { env });
        assertEquals(code, 1, stderr);
        assertMatch(stderr, /\[ERROR\] layer sha256:.* 3 s/);
        assertEquals(await bed.contents(), before);
      },
    );
  });
}

async function sums(folder: string): Promise<string> {
  return await run(["sh", "-c", 'cd "$1" && sha256sum file*', "sh", folder]);
}

/**
 * A registry that sends a layer in pieces without stating their length: first a part with a wrong byte, then
 * the rest, whose end comes later than its last byte.
 */
function startLateFront(port: number, layer: string): AsyncDisposable & { readonly host: string } {
  let count = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url, headers }) => {
      const { pathname } = new URL(url);
      const accept = headers.get("accept") ?? "*/*";
      const answer = await fetch(`http://127.0.0.1:${port}${pathname}`, { headers: { accept } });
      if (!pathname.endsWith(layer)) return answer;
      const body = await answer.bytes();
      if (++count === 1) {
        body[1 << 20] = ~(body[1 << 20] ?? 0);
        return new Response(pieces(body.subarray(0, 2 << 20), 0));
      }
      const [, from] = /(\d+)-/.exec(headers.get("range") ?? "") ?? [];
      const range = `bytes ${from}-${body.length - 1}/${body.length}`;
      return from === undefined
        ? new Response(pieces(body, 0))
        : new Response(pieces(body.subarray(Number(from)), 1500), {
          status: 206,
          headers: { "content-range": range },
        });
    },
  );
  return {
    host: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function pieces(bytes: Uint8Array<ArrayBuffer>, pause: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(bytes);
      await new Promise((resolve) => setTimeout(resolve, pause));
      controller.close();
    },
  });
}
