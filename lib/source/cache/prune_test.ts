import { assertEquals } from "@std/assert";
import { parseDigest } from "../../oci/digest.ts";
import type { CachedFile } from "./contents.ts";
import { filesToPrune, type PrunePolicy } from "./prune.ts";

const day = 24 * 3600_000;
const now = 100 * day;

/** `KIND STATE SIZE DAYS`: how large, and how many days ago it was used. */
function file(text: string, index: number): CachedFile {
  const [kind = "", state = "", size, days] = text.split(" ");
  return {
    kind: kind as CachedFile["kind"],
    state: state as CachedFile["state"],
    size: Number(size),
    usedAt: now - Number(days) * day,
    digest: parseDigest(`sha256:${String(index).padStart(64, "0")}`),
    path: text,
    images: [],
  };
}

const files = [
  "blob live 50 30",
  "partial cold 10 20",
  "blob warm 20 10",
  "partial live 5 9",
  "partial cold 7 3",
  "blob warm 40 2",
  "blob warm 1 0",
];
const total = 133;

const table: [what: string, policy: PrunePolicy, gone: number[]][] = [
  ["nothing is asked for", {}, []],
  ["all of it", { all: true }, [1, 2, 4, 5, 6]],
  ["parts that nobody fetches", { partialsOlderThan: 0 }, [1, 4]],
  ["parts that nobody came back for in a week", { partialsOlderThan: 7 * day }, [1]],
  ["a limit that holds", { maxSize: total }, []],
  ["a limit that one byte is beyond", { maxSize: total - 1 }, [1]],
  ["a limit that takes the oldest", { maxSize: 100 }, [1, 2, 4]],
  ["a limit that cannot hold", { maxSize: 0 }, [1, 2, 4, 5, 6]],
  ["a limit, after the parts", { maxSize: 100, partialsOlderThan: 0 }, [1, 4, 2]],
];
for (const [what, policy, gone] of table) {
  Deno.test(`what goes from the cache: ${what}`, () => {
    const chosen = filesToPrune(files.map(file), policy, now);
    assertEquals(chosen.map(({ path }) => files.indexOf(path)), gone);
  });
}
