import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseDiffId, parseDigest } from "../oci/digest.ts";
import { WorkerPool } from "../pool/pool.ts";
import type { Image } from "../source/image.ts";
import { ImageBuild } from "./build_rootfs.ts";

Deno.test("a layer that is stored in more bytes than the limit is not fetched", async () => {
  const hex = "a".repeat(64);
  let fetched = 0;
  const image: Image = {
    uri: "docker://r.example/x:1",
    imageId: parseDigest(`sha256:${hex}`),
    architecture: "amd64",
    layers: [{
      diffId: parseDiffId(`sha256:${hex}`),
      size: 20 << 20,
      open() {
        fetched++;
        return Promise.reject(new Error("it is fetched"));
      },
    }],
    config: () => Promise.reject(new Error("it is not asked for")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  for (const [maxSize, isRefused] of [[10 << 20, true], [20 << 20, false]] as const) {
    await using pool = new WorkerPool(new URL("file:///nonexistent"), 1);
    await using build = new ImageBuild(image, {
      pool,
      signal: new AbortController().signal,
      ownership: "caller",
      limits: { maxSize },
      progress: { onFetch() {}, onApply() {} },
    });
    if (isRefused) {
      const error = assertThrows(() => build.begin(0), EnrootError, "ENROOT_MAX_LAYER_SIZE");
      assertEquals([error.code, fetched], ["too-large", 0]);
    } else {
      build.begin(0);
      assertEquals(fetched, 1);
    }
  }
});
