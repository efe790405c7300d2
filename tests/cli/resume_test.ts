import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { run } from "../support/command.ts";
import { startFaultProxy } from "../support/fault_proxy.ts";
import { openRandomImage } from "../support/random_image.ts";

for (const user of users) {
  Deno.test(`an import that was ended is gone on with, as ${user}`, async (t) => {
    await using image = await openRandomImage([5, 1]);
    const [layer = ""] = image.layers;
    await using bed = await Bed.make(user);
    for (const signal of ["SIGKILL", "SIGINT", "SIGTERM"] as const) {
      await t.step(`by ${signal}`, async () => {
        const cache = `${bed.home}/cache-${signal}`;
        const env = { ENROOT_CACHE_PATH: cache };
        let isSlow = true;
        // The other layer comes as a whole, whenever that is.
        await using proxy = startFaultProxy(
          image.port,
          ({ path }) =>
            isSlow && path.endsWith(layer)
              ? { drip: { bytes: 65536, milliseconds: 40 } }
              : undefined,
        );
        const argv = ["import", "-o", "x.sqsh", `docker://${proxy.host}/${image.name}`];
        const child = bed.start([bed.executable, ...argv], { env });
        const output = child.output();
        const end = Date.now() + 20_000;
        while (proxy.blobBytes < 2.5 * 2 ** 20 && Date.now() < end) await pause(5);
        await run(["kill", "-s", signal.slice(3), String(child.pid)]);
        const { signal: ended, stderr } = await output;
        assertEquals(ended, signal, new TextDecoder().decode(stderr));

        const left = await blobsOf(cache);
        assertEquals(left.partial, [`${layer.slice(7)}.partial`]);
        const { size } = await Deno.stat(`${cache}/blobs/sha256/${left.partial[0]}`);
        assert(size > 2 ** 20, `${size} bytes stayed`);
        isSlow = false;
        // What was on its way to the process that is gone.
        await pause(100);
        const sent = proxy.blobBytes;
        await bed.succeed(argv, { env });
        assertEquals(proxy.requests.at(-1)?.range, `bytes=${size}-`);
        assertEquals(proxy.blobBytes - sent, (image.sizes[0] ?? 0) - size);
        assertEquals((await blobsOf(cache)).partial, []);
        await Deno.remove(`${bed.work}/x.sqsh`);
      });
    }

    await t.step("a process that is killed again and again gets there", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-again` };
      await using proxy = startFaultProxy(image.port, () => ({
        drip: { bytes: 65536, milliseconds: 20 },
      }));
      const argv = ["import", "-o", "x.sqsh", `docker://${proxy.host}/${image.name}`];
      let runs = 0;
      for (; runs < 30; runs++) {
        const child = bed.start([bed.executable, ...argv], { env });
        const timer = setTimeout(() => child.kill("SIGKILL"), 1000);
        const { code } = await child.output();
        clearTimeout(timer);
        await blobsOf(env.ENROOT_CACHE_PATH).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
        if (code === 0) break;
      }
      assert(runs > 0 && runs < 30, `${runs} runs were ended`);
      // What was sent and had not arrived when a process ended is sent again, and no more than that.
      const again = proxy.blobBytes - image.size;
      assert(again >= 0 && again < runs * 2 ** 20, `${again} bytes came twice`);
      await Deno.remove(`${bed.work}/x.sqsh`);
    });

    await t.step("who waits for a process that is killed goes on where it was", async () => {
      const cache = `${bed.home}/cache-waiting`;
      const env = { ENROOT_CACHE_PATH: cache };
      let isSlow = true;
      await using proxy = startFaultProxy(
        image.port,
        ({ path }) =>
          isSlow && path.endsWith(layer) ? { drip: { bytes: 65536, milliseconds: 40 } } : undefined,
      );
      const uri = `docker://${proxy.host}/${image.name}`;
      const first = bed.start([bed.executable, "import", "-o", "first.sqsh", uri], { env });
      const firstOutput = first.output();
      const end = Date.now() + 20_000;
      while (proxy.blobBytes < 2.5 * 2 ** 20 && Date.now() < end) await pause(5);
      const second = bed.start([bed.executable, "import", "-o", "x.sqsh", uri], { env });
      const waited = Promise.withResolvers<void>();
      let said = "";
      const reading = (async () => {
        for await (const text of second.stderr.pipeThrough(new TextDecoderStream())) {
          said += text;
          if (said.includes(`Waiting for another process to fetch layer ${layer}`)) {
            waited.resolve();
          }
        }
        waited.reject(new Error(said));
      })();
      await waited.promise;
      isSlow = false;
      await run(["kill", "-s", "KILL", String(first.pid)]);
      await firstOutput;
      await Promise.all([reading.catch(() => {}), second.stdout.cancel()]);
      assertEquals((await second.status).code, 0, said);
      const asked = proxy.requests.filter(({ path }) => path.endsWith(layer));
      assertEquals(asked.length, 2);
      const [, offset = 0] = /^bytes=(\d+)-$/.exec(asked[1]?.range ?? "") ?? [];
      assert(Number(offset) > 2 ** 20, `${asked[1]?.range}`);
      assertEquals((await blobsOf(cache)).partial, []);
      await Deno.remove(`${bed.work}/x.sqsh`);
    });

    await t.step("what was kept is said, with the error", async () => {
      const env = { ENROOT_CACHE_PATH: `${bed.home}/cache-said` };
      await using proxy = startFaultProxy(image.port, ({ path, count }) => {
        if (!path.endsWith(layer)) return undefined;
        return count === 1 ? { cutAfter: 3 * 2 ** 20 } : { cutAfter: 0 };
      });
      const argv = ["import", "-o", "x.sqsh", `docker://${proxy.host}/${image.name}`];
      const { code, stderr } = await bed.enroot(argv, { env });
      assertEquals(code, 1);
      assertMatch(
        stderr,
        /3145728 of \d+ bytes of layer .* are kept: the next import goes on there/,
      );
      assertEquals((await bed.enroot(["cache", "list"], { env })).stdout.includes("cold"), true);
    });
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
