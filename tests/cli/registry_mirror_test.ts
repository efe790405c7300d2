import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { blobsOf } from "../support/cache_folder.ts";
import { type Fault, type Question, startFaultProxy } from "../support/fault_proxy.ts";
import { openRandomImage, type RandomImage } from "../support/random_image.ts";

const mebibyte = 1 << 20;

/** What a mirror does wrong, and what is said of it. */
interface Case {
  readonly about: string;
  readonly fault: (question: Question, image: RandomImage) => Fault | undefined;
  readonly says: RegExp;
  readonly env?: Record<string, string>;
}

const isLayer = ({ path }: Question, { layers: [layer = ""] }: RandomImage): boolean =>
  path.endsWith(layer);
const isManifest = ({ path }: Question): boolean => path.includes("/manifests/");
const html = { "content-type": "text/html" };

const cases: readonly Case[] = [
  {
    about: "a layer of other bytes",
    fault: (question, image) => isLayer(question, image) ? { wrongAt: 2 * mebibyte } : undefined,
    says: /layer sha256:\w+ of docker:\S+.*sha256:\w+/,
  },
  {
    about: "a layer in pieces, of which one is wrong",
    fault: (question, image) =>
      !isLayer(question, image)
        ? undefined
        : question.range === ""
        ? { wrongAt: 5, cutAfter: 2 * mebibyte }
        : {},
    says: /layer sha256:\w+ of docker:\S+/,
  },
  {
    about: "a page in place of a layer",
    fault: (question, image) =>
      isLayer(question, image) ? { status: 200, headers: html, body: "<html>" } : undefined,
    says: /the registry sends 6 bytes, its manifest states \d+/,
  },
  {
    about: "a layer that breaks off where retries do not help",
    fault: (question, image) => isLayer(question, image) ? { cutAfter: 1000 } : undefined,
    says: /the connection broke/,
  },
  {
    about: "a layer that ends too early, also when it is gone on with",
    fault: (question, image) => isLayer(question, image) ? { truncateAfter: 1000 } : undefined,
    says: /only 2000 of the stated \d+ bytes came/,
    env: { ENROOT_TRANSFER_RETRIES: "1" },
  },
  {
    about: "a config of other bytes",
    fault: (question, image) =>
      isManifest(question) || isLayer(question, image) ? undefined : { wrongAt: 5 },
    says: /the config of docker:\S+/,
  },
  {
    about: "a page in place of a manifest",
    fault: (question) =>
      isManifest(question) ? { status: 200, headers: html, body: "<html>" } : undefined,
    says: /docker:\S+ is no JSON/,
  },
  {
    about: "JSON in place of a manifest",
    fault: (question) => isManifest(question) ? { status: 200, body: '{"ok":true}' } : undefined,
    says: /docker:\S+ is no image manifest: schemaVersion/,
  },
  {
    about: "a manifest of other bytes than it says",
    fault: (question) => isManifest(question) ? { wrongAt: 5 } : undefined,
    says: /the manifest of docker:\S+/,
  },
  {
    about: "a manifest that breaks off",
    fault: (question) => isManifest(question) ? { cutAfter: 10 } : undefined,
    says: /the connection broke/,
  },
];

Deno.test("what a mirror sends wrong is had from the registry, and the mirror is named", async (t) => {
  await using image = await openRandomImage([5]);
  await using bed = await Bed.make(users.at(-1) ?? "root");
  for (const [index, { about, fault, says, env }] of cases.entries()) {
    await t.step(about, async () => {
      await using mirror = startFaultProxy(image.port, (question) => fault(question, image));
      await using registry = startFaultProxy(image.port);
      await useMirror(bed, registry.host, mirror.host);
      const cache = `${bed.home}/cache${index}`;
      const { code, stderr } = await bed.enroot(
        ["import", "-o", `${index}.sqsh`, `docker://${registry.host}/${image.name}`],
        { env: { ENROOT_CACHE_PATH: cache, ...env } },
      );
      assertEquals(code, 0, stderr);
      const warnings = stderr.split("\n").filter((line) =>
        line.includes(`mirror ${mirror.host}: `)
      );
      assertEquals(warnings.length, 1, stderr);
      assertMatch(warnings[0] ?? "", says);
      assertMatch(warnings[0] ?? "", /^\[WARN\] .*; it is left out, asking the next host$/);
      assert(mirror.requests.length > 0 && registry.requests.length > 0);
      const { whole, partial } = await blobsOf(cache);
      assertEquals([whole.length, partial.length], [3, 0]);
      await Deno.remove(`${bed.work}/${index}.sqsh`);
    });
  }

  await t.step("where the registry has nothing better, that is the error", async () => {
    const fault = (question: Question): Fault | undefined =>
      isLayer(question, image) ? { wrongAt: 5 } : undefined;
    await using mirror = startFaultProxy(image.port, fault);
    await using registry = startFaultProxy(image.port, fault);
    await useMirror(bed, registry.host, mirror.host);
    const env = { ENROOT_CACHE_PATH: `${bed.home}/wrong` };
    const { code, stderr } = await bed.enroot(
      ["import", "-o", "x.sqsh", `docker://${registry.host}/${image.name}`],
      { env },
    );
    assertEquals(code, 1);
    assertMatch(stderr, /^\[WARN\] mirror \S+: layer .*; it is left out/m);
    assertMatch(stderr, /^\[ERROR\] layer sha256:\w+ of docker:/m);
    assertEquals((await blobsOf(env.ENROOT_CACHE_PATH)).partial, []);
  });
});

async function useMirror(bed: Bed, registry: string, mirror: string): Promise<void> {
  const place = `${bed.sysconf}/certs.d/${registry}`;
  await Deno.mkdir(place, { recursive: true });
  await Deno.writeTextFile(`${place}/hosts.toml`, `[host."http://${mirror}"]\n`);
}
