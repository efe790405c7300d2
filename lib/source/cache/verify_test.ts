import { assert, assertEquals } from "@std/assert";
import { OciLayout } from "../../../tests/support/oci_layout.ts";
import { hexOf, parseDigest } from "../../oci/digest.ts";
import { cachedFiles } from "./contents.ts";
import { holdBlob } from "./held_blob.ts";
import { tidyCache } from "./prune.ts";
import { verifyCache } from "./verify.ts";

const type = "application/vnd.oci.image.layer.v1.tar";
const { signal } = new AbortController();

/** A cache with blobs of these contents. */
async function withCache(
  contents: readonly string[],
  body: (cache: string, paths: readonly string[]) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const layout = await OciLayout.create(`${folder}/cache`);
    const paths: string[] = [];
    for (const text of contents) {
      const { digest } = await layout.putBlob(type, new TextEncoder().encode(text));
      paths.push(layout.blobPath(digest));
    }
    await body(layout.path, paths);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the cache's files are told apart, and what is none of them is passed over", () =>
  withCache(["one", "two"], async (cache, [one = "", two = ""]) => {
    const hex = "5".repeat(64);
    const blobs = `${cache}/blobs/sha256`;
    const unique = `${hex}.${crypto.randomUUID()}.partial`;
    for (const name of [`${hex}.partial`, unique, "odd", `${hex}.tmp`, `${hex}5`, "x.partial"]) {
      await Deno.writeTextFile(`${blobs}/${name}`, name);
    }
    using fetched = await Deno.open(`${blobs}/${unique}`, { write: true });
    assert(await fetched.tryLock(true));
    using _held = await holdBlob(one, undefined);
    const states = new Map(
      cachedFiles(cache).map(({ path, kind, state, images }) => [
        path.slice(blobs.length + 1),
        [kind, state, images.length],
      ]),
    );
    assertEquals(
      states,
      new Map([
        [one.slice(blobs.length + 1), ["blob", "live", 0]],
        [two.slice(blobs.length + 1), ["blob", "warm", 0]],
        [`${hex}.partial`, ["partial", "cold", 0]],
        [unique, ["partial", "live", 0]],
      ]),
    );
  }));

Deno.test("damaged blobs are dropped, but not while somebody uses them", () =>
  withCache(["good", "bad", "used"], async (cache, [good = "", bad = "", used = ""]) => {
    for (const path of [bad, used]) await Deno.writeTextFile(path, "other");
    using _held = await holdBlob(used, undefined);
    const outcomes = async (drop: boolean): Promise<Map<string, string>> => {
      const found = await Array.fromAsync(verifyCache(cache, { signal, drop }));
      return new Map(found.map(({ file, outcome }) => [file.path, outcome]));
    };
    assertEquals(
      await outcomes(false),
      new Map([[good, "good"], [bad, "damaged"], [used, "damaged"]]),
    );
    assertEquals(
      await outcomes(true),
      new Map([[good, "good"], [bad, "dropped"], [used, "kept"]]),
    );
    assertEquals(cachedFiles(cache).map(({ path }) => path).sort(), [good, used].sort());
  }));

Deno.test("the limit leaves what is in use, and takes parts that are a week old", () =>
  withCache(["a".repeat(100), "b".repeat(50)], async (cache, [large = "", small = ""]) => {
    const now = Date.now();
    const partial = (digit: string): string => `${cache}/blobs/sha256/${digit.repeat(64)}.partial`;
    for (const [digit, days] of [["5", 8], ["6", 6]] as const) {
      await Deno.writeTextFile(partial(digit), "some");
      const then = new Date(now - days * 24 * 3600_000);
      await Deno.utime(partial(digit), then, then);
    }
    await Deno.utime(large, new Date(now - 5000), new Date(now - 5000));
    using held = await holdBlob(large, undefined);
    assert(held !== undefined);
    assertEquals((await tidyCache(cache, undefined)).map(({ path }) => path), [partial("5")]);
    const gone = await tidyCache(cache, 100);
    assertEquals(gone.map(({ path }) => path), [partial("6"), small]);
    held[Symbol.dispose]();
    assertEquals((await tidyCache(cache, 99)).map(({ path }) => path), [large]);
  }));

Deno.test("using a blob makes it the last to go", () =>
  withCache(["one", "two"], async (cache, [one = "", two = ""]) => {
    const old = new Date(Date.now() - 60_000);
    await Deno.utime(one, old, old);
    assertEquals(cachedFiles(cache)[0]?.digest, parseDigest(`sha256:${one.slice(-64)}`));
    (await holdBlob(one, undefined))?.[Symbol.dispose]();
    await Deno.utime(two, old, old);
    assertEquals(hexOf(cachedFiles(cache)[0]?.digest ?? parseDigest("")), two.slice(-64));
  }));
