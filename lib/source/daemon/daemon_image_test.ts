import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  fake,
  image,
  large,
  layers,
  other,
  readAll,
  readTar,
  sourceOptions,
  twice,
  withImage,
} from "../../../tests/support/daemon_image.ts";
import {
  archiveBytes,
  docker20,
  docker25,
  dockerContainerd,
  type EngineArchive,
  gzip,
  hexOf,
  inspectOf,
  makeImage,
  makeLayer,
  podman,
  podmanOci,
} from "../../../tests/support/engine_archive.ts";
import { ownArchitecture } from "../../../tests/support/oci_layout.ts";
import { EnrootError } from "../../errors.ts";
import { parseDigest } from "../../oci/digest.ts";
import { openImage, resolveDigest } from "../source.ts";
import { parseImageUri } from "../uri.ts";
import { EngineIdError } from "./daemon_image.ts";

const id = (digit: string): string => digit.repeat(64);
const inOrder = [id("1"), id("2"), id("3")];
const reversed = [id("3"), id("2"), id("1")];
const isNoConfig = { RepoDigests: [`x@${dockerContainerd([image]).id}`] };
const foreign = makeImage(layers.map((_, index) => makeLayer(`foreign ${index}`, 400_000)), other);

const shapes: readonly {
  readonly about: string;
  readonly archive: EngineArchive;
  readonly inspect?: Record<string, unknown>;
  /** The layers that come before their turn. */
  readonly early?: readonly number[];
}[] = [
  { about: "Docker 20, in order", archive: docker20(image, inOrder) },
  { about: "Docker 20, top layer first", archive: docker20(image, reversed), early: [1, 2] },
  {
    about: "Docker 20, middle layer first",
    archive: docker20(image, [id("2"), id("1"), id("3")]),
    early: [1],
  },
  { about: "Docker 25", archive: docker25(image), early: [0, 1, 2] },
  {
    about: "Docker with containerd's store, two platforms and attestations",
    archive: dockerContainerd([image, foreign]),
    inspect: { Descriptor: { digest: "x" } },
    early: [0, 1, 2],
  },
  {
    about: "Docker 26 with containerd's store, known by its repository digest",
    archive: dockerContainerd([image]),
    inspect: isNoConfig,
    early: [0, 1, 2],
  },
  { about: "podman", archive: podman(image) },
  { about: "podman, oci-archive", archive: podmanOci(image), early: [0, 1, 2] },
];
for (const { about, archive, inspect, early = [] } of shapes) {
  Deno.test(`an image saved by ${about} gives its layers and its config`, async () => {
    const { peak } = await withImage(
      { archive, ...(inspect === undefined ? {} : { inspect }) },
      async (opened) => {
        assertEquals(opened.imageId, image.id);
        assertEquals(opened.manifestDigest, undefined);
        assertEquals(opened.engineId, archive.id === image.id ? undefined : archive.id);
        assertEquals(opened.architecture, ownArchitecture);
        assertEquals(opened.layers.map(({ diffId }) => diffId), image.diffIds);
        assertEquals(await readAll(opened), image.diffIds);
        assertEquals((await opened.config()).env, [`ARCH=${ownArchitecture}`]);
      },
    );
    const bound = early.reduce(
      (sum, index) => sum + gzip(layers[index] ?? new Uint8Array()).length,
      0,
    );
    // Layers of another platform cannot be told from ours until the manifest has come.
    const more = archive.members.length > 15 ? foreign.layers.map((each) => gzip(each).length) : [];
    const limit = more.reduce((sum, size) => sum + size, bound);
    assert(peak <= limit * 1.02, `${peak} bytes waited, more than ${limit}`);
    if (early.length > 0 && early.length < 3) assert(peak > limit / 2, "nothing waited");
  });
}

Deno.test("an image that is not read starts no save, where its ID is that of the engine", async () => {
  const { log } = await withImage({ archive: docker20(image, inOrder) }, async (opened) => {
    assertEquals(opened.imageId, image.id);
    assertEquals(await fake.calls(), ["image inspect -- x:1"]);
  });
  assertEquals(log, []);
});

Deno.test("an ID that somebody remembers starts no save either", async () => {
  const archive = dockerContainerd([image]);
  const asked: string[] = [];
  const options = {
    imageIdOf: (engineId: string) => {
      asked.push(engineId);
      return Promise.resolve(parseDigest(image.id));
    },
  };
  await withImage({ archive, inspect: isNoConfig, options }, async (opened) => {
    assertEquals(opened.imageId, image.id);
    assertEquals((await fake.calls()).length, 1);
    assertEquals(await readAll(opened), image.diffIds);
    assertEquals((await opened.config()).cmd, ["x"]);
  });
  assertEquals(asked, [archive.id]);
});

Deno.test("an image is saved by its ID, not by its name, which may move", async () => {
  await withImage({ scheme: "podman" }, async (opened) => {
    await readAll(opened);
    assertEquals(await fake.calls(), [
      "image inspect -- x:1",
      "info --format {{.Store.ImageCopyTmpDir}}",
      `save --quiet -- ${image.id}`,
    ]);
  });
});

for (
  const [about, archive] of [
    ["Docker 20", docker20(twice, [id("2"), id("1"), id("3")])],
    ["Docker 25", docker25(twice)],
    ["podman", podman(twice)],
  ] as const
) {
  Deno.test(`a layer that an image has twice is there twice, saved by ${about}`, async () => {
    await withImage({ archive, of: twice }, async (opened) => {
      assertEquals(await readAll(opened), twice.diffIds);
      await opened.config();
    });
  });
}

Deno.test("layers that are skipped are neither kept nor waited for", async () => {
  for (const archive of [docker20(image, inOrder), docker25(image), podman(image)]) {
    for (const skipped of [[1, 2], [0], [0, 1], [0, 1, 2]]) {
      const { peak } = await withImage({ archive }, async (opened) => {
        const rest = image.diffIds.filter((_, index) => !skipped.includes(index));
        assertEquals(await readAll(opened, skipped), rest);
        await opened.config();
      });
      if (skipped.length > 1) assertEquals(peak, 0);
    }
  }
});

Deno.test("a layer that is skipped after it was opened does not hold up the others", async () => {
  await withImage({}, async (opened) => {
    const { signal } = new AbortController();
    const files = opened.layers.map((layer) => layer.open({ signal }));
    await files[0];
    opened.layers[0]?.skip?.();
    for (const index of [1, 2]) {
      const layer = await files[index];
      assert(layer !== undefined);
      assertEquals(`sha256:${hexOf(await readTar(layer))}`, image.diffIds[index]);
      layer.release?.();
    }
    await opened.config();
  });
});

Deno.test("the config can be had before any layer is opened; layers that come first wait", async () => {
  const { peak } = await withImage({}, async (opened) => {
    assertEquals((await opened.config()).cmd, ["x"]);
    assertEquals(await readAll(opened), image.diffIds);
  });
  assert(peak > 1_000_000, String(peak));
});

Deno.test("layers that are opened a second time are saved a second time", async () => {
  await withImage({}, async (opened) => {
    assertEquals(await readAll(opened), image.diffIds);
    assertEquals(await readAll(opened), image.diffIds);
    assertEquals((await fake.calls()).filter((call) => call.startsWith("save")).length, 2);
  });
});

Deno.test("an image without layers has a config", async () => {
  const empty = makeImage([]);
  await withImage({ archive: podman(empty), of: empty }, async (opened) => {
    assertEquals(opened.layers, []);
    assertEquals((await opened.config()).cmd, ["x"]);
  });
});

Deno.test("an engine's ID that is no config's is noticed, and the image read to know it", async () => {
  const archive = { ...podman(image), id: `sha256:${id("f")}` };
  await withImage({ archive }, async (opened) => {
    assertEquals(opened.imageId, archive.id);
    await readAll(opened);
    await assertRejects(() => opened.config(), EngineIdError, image.id);
  });
  await withImage({ archive, options: { readsConfigFirst: true } }, async (opened) => {
    assertEquals(opened.imageId, image.id);
    assertEquals(opened.engineId, archive.id);
    assertEquals(await readAll(opened), image.diffIds);
    assertEquals((await opened.config()).cmd, ["x"]);
  });
});

Deno.test("a config with other layers than the engine said is not taken", async () => {
  const moved = makeImage([makeLayer("moved"), ...layers.slice(1)]);
  await withImage({ archive: { ...podman(image), id: moved.id }, of: moved }, async (opened) => {
    await assertRejects(() => opened.config(), EnrootError, "does not hold");
  });
});

const broken: readonly [about: string, archive: EngineArchive, then: string, says: string][] = [
  [
    "a layer is missing",
    without(docker25(image), hexOf(layers[1] ?? new Uint8Array())),
    "",
    "layer 2 of 3",
  ],
  ["the config is missing", without(podman(image), ".json"), "", "does not hold the config"],
  [
    "the engine fails at once",
    { ...podman(image), members: [] },
    "echo 'Error: broken storage' >&2; exit 125",
    "docker says: broken storage",
  ],
  [
    "the engine fails in the middle",
    { ...podman(image), members: podman(image).members.slice(0, 1) },
    "echo 'Error response from daemon: lost' >&2; exit 1",
    "docker says: lost",
  ],
  [
    "the engine is killed",
    { ...podman(image), members: podman(image).members.slice(0, 1) },
    "kill -9 $$",
    "SIGKILL",
  ],
];
for (const [about, archive, then, says] of broken) {
  Deno.test(`when ${about}, it is said so`, async () => {
    // Without the end of the archive: the failure is what ends it.
    await withImage({ archive, then }, async (opened) => {
      await assertRejects(
        async () => {
          await readAll(opened);
          await opened.config();
        },
        EnrootError,
        says,
      );
    });
  });
}

Deno.test("a layer that is cut short says why to its reader", async () => {
  const whole = archiveBytes(podman(image));
  await fake.answer(inspectOf(image, image.id), {
    bytes: whole.subarray(0, large / 2),
    then: "echo 'Error: disk on fire' >&2; exit 1",
  });
  const options = sourceOptions("/tmp", []);
  await using opened = await openImage(parseImageUri("dockerd://x:1"), options);
  const layer = await opened.layers[0]?.open({ signal: options.signal });
  assert(layer !== undefined);
  await assertRejects(() => readTar(layer), Error, "ended too early");
  const failure = layer.failure?.();
  assert(failure instanceof EnrootError, String(failure));
  assertEquals(failure.message, "dockerd://x:1: docker says: disk on fire");
});

Deno.test("an image that is let go of ends its engine's program, whatever that waits for", async () => {
  for (const then of ["exec sleep 1000", ""]) {
    await withImage({ archive: docker20(image, inOrder), then }, async (opened) => {
      const { signal } = new AbortController();
      opened.layers[1]?.open({ signal }).catch(() => {});
      await opened.layers[0]?.open({ signal });
    });
  }
});

Deno.test("the signal ends the engine's program, and is the reason", async () => {
  const stop = new AbortController();
  const started = Date.now();
  await withImage(
    {
      archive: { ...podman(image), members: [] },
      then: "exec sleep 1000",
      options: { signal: stop.signal },
    },
    async (opened) => {
      const file = opened.layers[0]?.open({ signal: new AbortController().signal });
      const config = opened.config();
      setTimeout(() => stop.abort(new Error("enough")), 200);
      await assertRejects(async () => await file, Error, "enough");
      await assertRejects(() => config, Error, "enough");
    },
  );
  assert(Date.now() - started < 20_000);
});

Deno.test("a full temporary folder is said to be one", async () => {
  await assertRejects(
    () =>
      withImage(
        { archive: docker20(image, reversed), options: { tempPath: "/dev/null/x" } },
        async (opened) => void await readAll(opened),
      ),
    EnrootError,
    "ENROOT_TEMP_PATH",
  );
});

Deno.test("an image of an engine has no manifest digest, and its ID is said", async () => {
  await fake.answer(inspectOf(image, image.id), { bytes: new Uint8Array() });
  await assertRejects(
    () => resolveDigest(parseImageUri("podman://x"), sourceOptions("/tmp", [])),
    EnrootError,
    `podman://x has no manifest digest: its ID is ${image.id}`,
  );
});

/** An archive without the members whose name ends so, or holds it. */
function without(archive: EngineArchive, part: string): EngineArchive {
  const members = archive.members.filter(({ name }) => !name.includes(part));
  assert(members.length < archive.members.length);
  return { ...archive, members };
}
