import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { run } from "../../tests/support/command.ts";
import { rawArchive, rawMember, rawPax } from "../../tests/support/raw_tar.ts";
import { EnrootError } from "../errors.ts";
import type { Image } from "./image.ts";
import { readDocument } from "./layout.ts";
import type { SourceOptions } from "./options.ts";
import { openImage, resolveDigest } from "./source.ts";
import { parseImageUri } from "./uri.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const json = (value: unknown): string => JSON.stringify(value);
const hex = (bytes: string | Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");
const layers = ["one", "two"].map((content) => rawArchive(rawMember({ name: content, content })));
const config = json({
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${hex(layer)}`) },
  config: { Cmd: ["x"] },
});

async function inFolder(
  body: (folder: string, options: SourceOptions) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/tmp`);
    await body(folder, {
      architecture: "amd64",
      cachePath: `${folder}/cache`,
      tempPath: `${folder}/tmp`,
      allowHttp: false,
      connectTimeoutSeconds: 1,
      transferTimeoutSeconds: 0,
      retries: 0,
      maxConnections: 1,
      signal: new AbortController().signal,
      log: () => {},
    });
    assertEquals([...Deno.readDirSync(`${folder}/tmp`)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the layers of an image hold. */
async function contents(image: Image): Promise<string[]> {
  const signal = new AbortController().signal;
  return await Promise.all(image.layers.map(async (layer) => {
    const bytes = await readDocument(await layer.open({ signal }), "a layer");
    return new TextDecoder().decode(bytes.subarray(512, 515));
  }));
}

/** Members of an archive as docker 20 writes it: a folder a layer, one of them a link. */
function dockerMembers(tags: string[] = ["app:v1"]): Bytes[] {
  return [
    rawMember({ name: "aaa/layer.tar", content: layers[0] ?? "" }),
    rawMember({ name: "bbb/layer.tar", content: layers[1] ?? "" }),
    rawMember({ name: "ccc/layer.tar", type: "2", linkname: "../aaa/layer.tar" }),
    rawMember({ name: "config.json", content: config }),
    rawMember({
      name: "manifest.json",
      content: json([{
        Config: "config.json",
        RepoTags: tags,
        Layers: ["ccc/layer.tar", "bbb/layer.tar"],
      }]),
    }),
  ];
}

/** Members of an OCI layout with one image a tag. */
function layoutMembers(tags: string[]): Bytes[] {
  const manifest = json({
    schemaVersion: 2,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: `sha256:${hex(config)}`,
      size: config.length,
    },
    layers: layers.map((layer) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: `sha256:${hex(layer)}`,
      size: layer.length,
    })),
  });
  const blob = (content: string | Bytes): Bytes =>
    rawMember({ name: `blobs/sha256/${hex(content)}`, content });
  return [
    rawMember({ name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' }),
    rawMember({
      name: "index.json",
      content: json({
        schemaVersion: 2,
        manifests: tags.map((tag) => ({
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: `sha256:${hex(manifest)}`,
          size: manifest.length,
          annotations: { "org.opencontainers.image.ref.name": tag },
        })),
      }),
    }),
    blob(manifest),
    blob(config),
    ...layers.map(blob),
  ];
}

for (
  const [what, scheme, members, compress] of [
    ["a docker archive with linked layers", "docker-archive", dockerMembers(), false],
    ["a docker archive, gzip", "docker-archive", dockerMembers(), true],
    ["an OCI archive", "oci-archive", layoutMembers(["v1"]), false],
    ["an OCI archive, gzip", "oci-archive", layoutMembers(["v1"]), true],
    [
      "an archive with pax headers between",
      "docker-archive",
      dockerMembers().flatMap((member) => [
        rawPax({ mtime: "1.5" }),
        member,
      ]),
      false,
    ],
  ] as const
) {
  for (const tag of ["", ":v1"]) {
    Deno.test(`${what} opens${tag === "" ? " without a tag" : " by its tag"}`, () =>
      inFolder(async (folder, options) => {
        const bytes = rawArchive(...members);
        await Deno.writeFile(`${folder}/a.tar`, compress ? gzipSync(bytes) : bytes);
        await using image = await openImage(
          parseImageUri(`${scheme}:${folder}/a.tar${tag}`),
          options,
        );
        assertEquals(await contents(image), ["one", "two"]);
        assertEquals(image.imageId as string, `sha256:${hex(config)}`);
        assertEquals((await image.config()).cmd, ["x"]);
      }));
  }
}

Deno.test("an archive that is made a layout opens as one, with the same digest", () =>
  inFolder(async (folder, options) => {
    await Deno.writeFile(`${folder}/a.tar`, rawArchive(...layoutMembers(["v1"])));
    await Deno.mkdir(`${folder}/layout`);
    const { success } = await new Deno.Command("tar", {
      args: ["-xf", `${folder}/a.tar`, "-C", `${folder}/layout`],
    }).output();
    assert(success);
    const layout = parseImageUri(`oci:${folder}/layout:v1`);
    await using image = await openImage(layout, options);
    assertEquals(await contents(image), ["one", "two"]);
    const digests = await Promise.all([
      resolveDigest(layout, options),
      resolveDigest(parseImageUri(`oci-archive:${folder}/a.tar`), options),
    ]);
    assertEquals(digests, [image.manifestDigest, image.manifestDigest]);
  }));

const refusals: [what: string, scheme: string, bytes: Bytes, code: string, text: string][] = [
  ["an empty archive", "oci-archive", rawArchive(), "bad-layout", "no index.json"],
  [
    "an archive without manifest.json",
    "docker-archive",
    rawArchive(),
    "bad-archive",
    "no manifest.json",
  ],
  [
    "a text file",
    "docker-archive",
    new TextEncoder().encode("x".repeat(2000)) as Bytes,
    "bad-archive",
    "checksum",
  ],
  [
    "a truncated archive",
    "docker-archive",
    rawArchive(...dockerMembers()).slice(0, 900),
    "truncated",
    "truncated",
  ],
  [
    "truncated gzip",
    "docker-archive",
    gzipSync(rawArchive(...dockerMembers())).slice(0, 200),
    "bad-compression",
    "inflated",
  ],
  [
    "an unknown tag",
    "docker-archive",
    rawArchive(...dockerMembers(["app:v2"])),
    "no-tag",
    "there is: app:v2",
  ],
  [
    "an unknown tag of a layout",
    "oci-archive",
    rawArchive(...layoutMembers(["v2", "v3"])),
    "no-tag",
    "there is: v2, v3",
  ],
  [
    "a member that is missing",
    "docker-archive",
    rawArchive(...dockerMembers().slice(1)),
    "bad-archive",
    "ccc/layer.tar",
  ],
  [
    "a blob that is missing",
    "oci-archive",
    rawArchive(...layoutMembers(["v1"]).slice(0, 2)),
    "bad-layout",
    "missing",
  ],
];
for (const [what, scheme, bytes, code, text] of refusals) {
  Deno.test(`${what} is refused as ${code}`, () =>
    inFolder(async (folder, options) => {
      await Deno.writeFile(`${folder}/a.tar`, bytes);
      const uri = parseImageUri(`${scheme}:${folder}/a.tar:v1`);
      const error = await assertRejects(() => openImage(uri, options), EnrootError, text);
      assertEquals(error.code, code);
      assert(error.message.includes(`${folder}/a.tar`), error.message);
    }));
}

Deno.test("several images and no tag: the tags are listed", () =>
  inFolder(async (folder, options) => {
    await Deno.writeFile(`${folder}/a.tar`, rawArchive(...layoutMembers(["v1", "v2"])));
    const uri = parseImageUri(`oci-archive:${folder}/a.tar`);
    await assertRejects(() => openImage(uri, options), EnrootError, "v1, v2");
  }));

/** A layout folder whose index holds images by name and architecture. */
async function writeLayout(
  folder: string,
  images: readonly (readonly [name: string | undefined, architecture: string])[],
): Promise<void> {
  await Deno.mkdir(`${folder}/blobs/sha256`, { recursive: true });
  const put = async (value: unknown): Promise<{ digest: string; size: number }> => {
    const text = json(value);
    await Deno.writeTextFile(`${folder}/blobs/sha256/${hex(text)}`, text);
    return { digest: `sha256:${hex(text)}`, size: text.length };
  };
  const manifests = [];
  for (const [name, architecture] of images) {
    const stored = await put({
      architecture,
      os: "linux",
      rootfs: { type: "layers", diff_ids: [] },
      config: { Env: [`NAME=${name}`] },
    });
    const mediaType = "application/vnd.oci.image.config.v1+json";
    manifests.push({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      ...await put({ schemaVersion: 2, config: { mediaType, ...stored }, layers: [] }),
      platform: { os: "linux", architecture },
      ...(name === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": name } }),
    });
  }
  await Deno.writeTextFile(`${folder}/index.json`, json({ schemaVersion: 2, manifests }));
}

for (const uri of ["", ":v1"]) {
  Deno.test(`one name for several platforms is one image${uri === "" ? ", unnamed too" : ""}`, () =>
    inFolder(async (folder, options) => {
      const name = uri === "" ? undefined : "v1";
      await writeLayout(folder, [[name, "arm64"], [name, "amd64"]]);
      for (const architecture of ["amd64", "arm64"]) {
        const layout = parseImageUri(`oci:${folder}${uri}`);
        await using image = await openImage(layout, { ...options, architecture });
        assertEquals(image.architecture, architecture);
      }
    }));
}

Deno.test("of several images the one called latest is taken when no tag is given", () =>
  inFolder(async (folder, options) => {
    await writeLayout(folder, [["v1.0", "amd64"], ["latest", "arm64"], ["latest", "amd64"]]);
    await using image = await openImage(parseImageUri(`oci:${folder}`), options);
    assertEquals((await image.config()).env, ["NAME=latest"]);
    await writeLayout(folder, [["app:v1", "amd64"], ["base:latest", "amd64"]]);
    const error = await assertRejects(
      () => openImage(parseImageUri(`oci:${folder}`), options),
      EnrootError,
    );
    assertEquals(error.code, "no-tag");
  }));

Deno.test("a layout that may not be read is said to be so, each file of it", () =>
  inFolder(async (folder, options) => {
    await Deno.writeFile(`${folder}/a.tar`, rawArchive(...layoutMembers(["v1"])));
    await Deno.mkdir(`${folder}/layout`);
    await run(["tar", "-xf", `${folder}/a.tar`, "-C", `${folder}/layout`]);
    const uri = `oci:${folder}/layout`;
    const manifest = await resolveDigest(parseImageUri(uri), options);
    const layer = `sha256:${hex(layers[1] ?? "")}`;
    const blob = (digest: string): string => `blobs/${digest.replace(":", "/")}`;
    const table = [
      ["index.json", `the index of ${uri}`],
      [blob(manifest), `the manifest of ${uri}`],
      [blob(`sha256:${hex(config)}`), `the config of ${uri}`],
      [blob(layer), `layer ${layer} of ${uri}`],
    ] as const;
    const top = new URL("../../", import.meta.url);
    const script = `${folder}/open.ts`;
    await Deno.writeTextFile(
      script,
      `import { openImage } from "${top}lib/source/source.ts";
      import { parseImageUri } from "${top}lib/source/uri.ts";
      const signal = new AbortController().signal;
      const options = { ...${json(options)}, signal, log: () => {} };
      try {
        const image = await openImage(parseImageUri("${uri}"), options);
        for (const layer of image.layers) await layer.open({ signal });
      } catch (error) {
        console.log(JSON.stringify([error.code, error.message]));
      }`,
    );
    // To root nothing is closed, but for these.
    const become = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"];
    const argv = [Deno.execPath(), "run", "-A", "--no-check", `--config=${top.pathname}deno.json`];
    for (const [path, what] of table) {
      await Deno.chmod(`${folder}/layout/${path}`, 0);
      const said = await run([...Deno.uid() === 0 ? become : [], ...argv, script]);
      const [code, message] = JSON.parse(said);
      assertEquals(code, "cannot-read");
      assertStringIncludes(message, `cannot read ${what}: Permission denied`);
      assertStringIncludes(message, `${folder}/layout/${path}`);
      await Deno.chmod(`${folder}/layout/${path}`, 0o644);
    }
  }));

Deno.test("an image without a name beside one with a name is another image", () =>
  inFolder(async (folder, options) => {
    await writeLayout(folder, [[undefined, "amd64"], ["v1", "amd64"]]);
    const error = await assertRejects(
      () => openImage(parseImageUri(`oci:${folder}`), options),
      EnrootError,
    );
    assertEquals(error.code, "no-tag");
    await using image = await openImage(parseImageUri(`oci:${folder}:v1`), options);
    assertEquals((await image.config()).env, ["NAME=v1"]);
  }));

Deno.test("what is no folder, and what is no file, is said to be so", () =>
  inFolder(async (folder, options) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const { success } = await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
    assert(success);
    const table = [
      [`oci:${folder}/none`, "no such folder"],
      [`oci:${folder}/file`, "is no folder"],
      [`oci-archive:${folder}/none`, "no such archive"],
      [`docker-archive:${folder}/tmp`, "no archive file"],
      [`docker-archive:${folder}/pipe`, "no archive file"],
    ] as const;
    for (const [uri, text] of table) {
      await assertRejects(() => openImage(parseImageUri(uri), options), EnrootError, text);
    }
  }));

Deno.test("an image for another architecture is refused, naming the one there is", () =>
  inFolder(async (folder, options) => {
    await Deno.writeFile(`${folder}/a.tar`, rawArchive(...dockerMembers()));
    const uri = parseImageUri(`docker-archive:${folder}/a.tar`);
    const arm = { ...options, architecture: "arm64" };
    await assertRejects(() => openImage(uri, arm), EnrootError, "there is: linux/amd64");
  }));

Deno.test("links in a circle are a missing member, not a hang", () =>
  inFolder(async (folder, options) => {
    const circle = ["a", "b"].map((name) =>
      rawMember({ name, type: "2", linkname: name === "a" ? "b" : "a" })
    );
    const manifest = json([{ Config: "a", Layers: [] }]);
    await Deno.writeFile(
      `${folder}/a.tar`,
      rawArchive(...circle, rawMember({ name: "manifest.json", content: manifest })),
    );
    const uri = parseImageUri(`docker-archive:${folder}/a.tar`);
    await assertRejects(() => openImage(uri, options), EnrootError, "'a' is missing");
  }));
