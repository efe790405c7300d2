import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { type Fault, type Question, startFaultProxy } from "../support/fault_proxy.ts";
import { openRandomImage, type RandomImage } from "../support/random_image.ts";

const user = users.at(-1) ?? "root";
const mebibyte = 1 << 20;

/** What is to become of an import under a fault. */
interface Case {
  readonly about: string;
  /** What goes wrong with an answer about the layer. */
  readonly fault: (question: Question) => Fault | undefined;
  readonly env?: Record<string, string>;
  /** What stderr must hold. */
  readonly says?: RegExp;
  /** The error's line; the import succeeds when there is none. */
  readonly error?: RegExp;
  /** How many more bytes than those of the image come; none when absent. */
  readonly extra?: (image: RandomImage) => number;
  /** The ranges the layer was asked for, in order, where they are known. */
  readonly ranges?: readonly string[];
  /** What stays of the layer in the cache after an error. */
  readonly keeps?: boolean;
}

const retryOnce = { ENROOT_TRANSFER_RETRIES: "1" };
const first = (fault: Fault) => ({ count }: Question): Fault | undefined =>
  count === 1 ? fault : undefined;
const firstTwo = (one: Fault, two: Fault) => ({ count }: Question): Fault | undefined =>
  [one, two][count - 1];
/** Refusals come until they are over. */
const times = (number: number, fault: Fault) => ({ count }: Question): Fault | undefined =>
  count <= number ? fault : undefined;

const cases: readonly Case[] = [
  {
    about: "a connection that is cut at every 1 MiB",
    fault: () => ({ cutAfter: mebibyte }),
    says: /connection broke.*resuming/,
    ranges: ["", ...[1, 2, 3, 4, 5].map((count) => `bytes=${count * mebibyte}-`)],
  },
  {
    about: "a connection that is cut before it has brought anything, without retries",
    fault: () => ({ cutAfter: 1000 }),
    error: /connection broke/,
    extra: ({ sizes: [size = 0] }) => 1000 - size,
    keeps: true,
  },
  {
    about: "a connection that is cut once before it has brought anything, with a retry",
    fault: first({ cutAfter: 1000 }),
    env: retryOnce,
    says: /trying again in 1 s/,
    ranges: ["", "bytes=1000-"],
  },
  {
    about: "an answer that ends too early, without a length",
    fault: first({ truncateAfter: mebibyte }),
    says: /only 1048576 of the stated \d+ bytes came; resuming/,
    ranges: ["", "bytes=1048576-"],
  },
  {
    about: "wrong bytes",
    fault: () => ({ wrongAt: 2 * mebibyte }),
    error: /layer sha256:\w+ of docker:.*sha256/,
    extra: () => 0,
    ranges: [""],
  },
  {
    about: "wrong bytes in what was resumed: it is fetched from the beginning, once",
    fault: firstTwo({ cutAfter: 2 * mebibyte }, { wrongAt: 5 }),
    ranges: ["", "bytes=2097152-", ""],
    extra: ({ sizes: [size = 0] }) => size,
  },
  {
    about: "wrong bytes that were resumed upon, each time",
    fault: ({ range }) => range === "" ? { cutAfter: 2 * mebibyte, wrongAt: 5 } : undefined,
    error: /layer sha256:\w+ of docker:.*sha256/,
    extra: ({ sizes: [size = 0] }) => size,
  },
  {
    about: "a token that is no longer good in the middle",
    fault: ({ range, authorization }) =>
      range === ""
        ? { cutAfter: mebibyte }
        : authorization === ""
        ? { status: 401, headers: { "www-authenticate": 'Bearer realm="REALM",service="x"' } }
        : undefined,
    ranges: ["", "bytes=1048576-", "bytes=1048576-"],
  },
  {
    about: "429 with Retry-After, with a retry",
    fault: first({ status: 429, headers: { "retry-after": "2" } }),
    env: retryOnce,
    says: /trying again in 2 s/,
  },
  {
    about: "429 with Retry-After, without retries",
    fault: () => ({ status: 429, headers: { "retry-after": "3600" } }),
    error: /limits the rate of requests: try again in 3600 s/,
    extra: ({ sizes: [size = 0] }) => -size,
  },
  {
    about: "503 until a date",
    fault: ({ count }) =>
      count > 1 ? undefined : {
        status: 503,
        headers: { "retry-after": new Date(Date.now() + 2000).toUTCString() },
      },
    env: retryOnce,
    says: /trying again in [12] s/,
  },
  {
    about: "500 five times, with five retries",
    fault: times(5, { status: 500, headers: { "retry-after": "0" } }),
    env: { ENROOT_TRANSFER_RETRIES: "5" },
    says: /status 500/,
  },
  {
    about: "500 five times, with four retries",
    fault: times(5, { status: 500, headers: { "retry-after": "0" } }),
    env: { ENROOT_TRANSFER_RETRIES: "4" },
    error: /status 500/,
    extra: ({ sizes: [size = 0] }) => -size,
  },
  {
    about: "408 once, with a retry",
    fault: first({ status: 408 }),
    env: retryOnce,
    says: /status 408; trying again/,
  },
  {
    about: "a length that is too large",
    fault: () => ({ contentLength: (right) => right + 5 }),
    error: /the registry sends \d+ bytes, its manifest states \d+/,
    ranges: [""],
  },
  {
    about: "a length that is too small",
    fault: () => ({ contentLength: () => 100 }),
    error: /the registry sends 100 bytes, its manifest states \d+/,
    ranges: [""],
  },
  {
    about: "a registry that knows no ranges",
    fault: ({ count }) => ({ ignoresRange: true, ...count === 1 ? { cutAfter: mebibyte } : {} }),
    ranges: ["", "bytes=1048576-"],
    extra: () => mebibyte,
  },
  {
    about: "another range than the one that was asked for",
    fault: firstTwo({ cutAfter: mebibyte }, { contentRange: "bytes 0-99/100" }),
    ranges: ["", "bytes=1048576-", ""],
  },
  {
    about: "a range that is refused",
    fault: firstTwo({ cutAfter: mebibyte }, { status: 416 }),
    ranges: ["", "bytes=1048576-", ""],
    extra: () => mebibyte,
  },
  {
    about: "a registry that always cuts and knows no ranges comes to an end",
    fault: () => ({ ignoresRange: true, cutAfter: mebibyte }),
    error: /connection broke/,
    keeps: true,
  },
  {
    about: "a transfer that takes longer than it may",
    fault: () => ({ drip: { bytes: 20_000, milliseconds: 50 } }),
    env: { ENROOT_TRANSFER_TIMEOUT: "1", ENROOT_TRANSFER_RETRIES: "5" },
    error: /not complete after 1 s \(ENROOT_TRANSFER_TIMEOUT\)/,
    keeps: true,
  },
];

Deno.test("what goes wrong on the way to a registry", async (t) => {
  await using image = await openRandomImage([5]);
  const [layer = ""] = image.layers;
  await using bed = await Bed.make(user);
  for (const [index, each] of cases.entries()) {
    await t.step(each.about, async () => {
      await using proxy = startFaultProxy(image.port, (question) => {
        if (question.path === "/token") return { status: 200, body: '{"token":"t0ken"}' };
        if (!question.path.endsWith(layer)) return undefined;
        const fault = each.fault(question);
        const challenge = fault?.headers?.["www-authenticate"];
        if (challenge === undefined) return fault;
        const realm = `http://${proxy.host}/token`;
        return { ...fault, headers: { "www-authenticate": challenge.replace("REALM", realm) } };
      });
      const cache = `${bed.home}/cache${index}`;
      const before = await bed.contents();
      const began = performance.now();
      const { code, stderr } = await bed.enroot(
        ["import", "-o", `${index}.sqsh`, `docker://${proxy.host}/${image.name}`],
        { env: { ENROOT_CACHE_PATH: cache, ...each.env } },
      );
      assert(performance.now() - began < 25_000, "it took too long");
      const { whole, partial } = await blobsOf(cache);
      if (each.says !== undefined) assertMatch(stderr, each.says);
      if (each.error === undefined) {
        assertEquals(code, 0, stderr);
        assertEquals([whole.length, partial.length], [3, 0]);
        await Deno.remove(`${bed.work}/${index}.sqsh`);
      } else {
        assertEquals(code, 1, stderr);
        const lines = stderr.trimEnd().split("\n").filter((line) => line.startsWith("[ERROR]"));
        assertEquals(lines.length, 1, stderr);
        assertMatch(lines[0] ?? "", each.error);
        assertEquals(partial, each.keeps === true ? [`${layer.slice(7)}.partial`] : []);
        assertEquals(whole.length, 2, "the manifest and the config");
      }
      assertEquals(await bed.contents(), before);
      const ranges = proxy.requests.filter(({ path }) => path.endsWith(layer))
        .map(({ range }) => range);
      if (each.ranges !== undefined) assertEquals(ranges, each.ranges);
      if (each.extra !== undefined || each.error === undefined) {
        const expected = image.size + (each.extra?.(image) ?? 0);
        // What was under way when an answer was turned down may have been sent in vain.
        const slack = each.about.startsWith("another range") ? 5 * mebibyte : 0;
        assert(
          proxy.blobBytes >= expected && proxy.blobBytes <= expected + slack,
          `${proxy.blobBytes} bytes were sent, ${expected} are right`,
        );
      }
    });
  }
});
