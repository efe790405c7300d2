import { assert, assertEquals } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { startDockerd } from "../support/dockerd.ts";
import { openToAll } from "../support/fixture.ts";
import { makePodman } from "../support/podman.ts";
import { startRegistry } from "../support/registry.ts";

/** How the two layers of an image are stored, lowest first; absent where that is not to be told. */
type Stored = readonly string[];

/** An image that a tool has written. */
interface Written {
  readonly about: string;
  readonly uri: string;
  readonly stored?: Stored;
  /** Whether its second layer also removes a file: not all tools can do that without a container. */
  readonly removes?: boolean;
}

const gzip: Stored = ["gzip", "gzip"];
const zstd: Stored = ["zstd", "zstd"];
const tool = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"];

/** Where images are put together. */
interface Place {
  readonly folder: string;
  /** A registry: `127.0.0.1:PORT`. */
  readonly host: string;
  /**
   * One more registry, an empty one: these tools take a layer that a registry has, however it is stored
   * there, for the one that they were to store in another way.
   */
  readonly another: () => Promise<string>;
  /** The first layer's files: `kept`, `changed` and `removed`, all with the content `1`. */
  readonly first: string;
  /** The second one's: `changed` and `added`, with the content `2`. */
  readonly second: string;
}

async function byDocker({ folder, host, first, second }: Place): Promise<Written[]> {
  await using dockerd = await startDockerd();
  const { docker } = dockerd;
  await run(["tar", "-cf", `${folder}/first.tar`, "-C", first, "."]);
  await docker("import", `${folder}/first.tar`, "first");
  const id = (await docker("create", "first", "true")).trim();
  await docker("cp", `${second}/.`, `${id}:/`);
  const name = `${host}/by/docker:1`;
  await docker("commit", id, name);
  await docker("push", "--quiet", name);
  await docker("save", "-o", `${folder}/docker.tar`, name);
  return [
    { about: "docker push", uri: `docker://${name}`, stored: gzip },
    { about: "docker save", uri: `docker-archive:${folder}/docker.tar` },
  ];
}

async function byPodman({ folder, host, first, second }: Place): Promise<Written[]> {
  await using storage = await makePodman();
  const { podman } = storage;
  await run(["tar", "-cf", `${folder}/first.tar`, "-C", first, "."]);
  await podman("import", `${folder}/first.tar`, "first");
  const id = (await podman("create", "first", "true")).trim();
  await changeIn((await podman("mount", id)).trim(), second);
  await podman("umount", id);
  await podman("commit", "--quiet", id, "image");
  const push = (name: string, ...how: string[]): Promise<string> =>
    podman("push", "--quiet", "--tls-verify=false", ...how, "image", `docker://${host}/by/${name}`);
  await push("podman:oci", "--format=oci");
  await push("podman:docker", "--format=v2s2");
  for (const kind of ["oci-archive", "docker-archive"]) {
    await podman("save", "--quiet", "--format", kind, "-o", `${folder}/podman-${kind}`, "image");
  }
  const removes = true;
  return [
    { about: "podman push, oci", uri: `docker://${host}/by/podman:oci`, stored: gzip, removes },
    {
      about: "podman push, docker",
      uri: `docker://${host}/by/podman:docker`,
      stored: gzip,
      removes,
    },
    { about: "podman save, oci", uri: `oci-archive:${folder}/podman-oci-archive`, removes },
    {
      about: "podman save, docker",
      uri: `docker-archive:${folder}/podman-docker-archive`,
      removes,
    },
  ];
}

async function byBuildah({ host, another, first, second }: Place): Promise<Written[]> {
  await using storage = await makePodman();
  const buildah = async (...args: string[]): Promise<string> =>
    (await run(["buildah", ...args], { env: storage.env })).trim();
  const push = (image: string, name: string, ...how: string[]): Promise<string> =>
    buildah("push", "--quiet", "--tls-verify=false", ...how, image, `docker://${name}`);
  const written: Written[] = [];
  for (const format of ["oci", "docker"]) {
    const base = await buildah("from", "scratch");
    await buildah("copy", "--quiet", base, first, "/");
    await buildah("commit", "--quiet", "--format", format, base, `first-${format}`);
    const container = await buildah("from", "--pull-never", `first-${format}`);
    await changeIn(await buildah("mount", container), second);
    await buildah("umount", container);
    await buildah("commit", "--quiet", "--format", format, container, format);
    const name = `${host}/by/buildah:${format}`;
    await push(format, name);
    const about = `buildah --format ${format}`;
    written.push({ about, uri: `docker://${name}`, stored: gzip, removes: true });
  }
  const asZstd = ["--format=oci", "--compression-format=zstd"];
  const pure = `${await another()}/by/buildah:1`;
  await push("oci", pure, ...asZstd);
  const mixed = await another();
  await push("first-oci", `${mixed}/by/buildah:first`);
  await push("oci", `${mixed}/by/buildah:1`, ...asZstd);
  const uri = `docker://${mixed}/by/buildah:1`;
  const about = "buildah, a zstd layer on an older image's";
  return [
    ...written,
    { about: "buildah, zstd", uri: `docker://${pure}`, stored: zstd, removes: true },
    { about, uri, stored: ["gzip", "zstd"], removes: true },
  ];
}

async function byUmociAndSkopeo(
  { folder, host, another, first, second }: Place,
): Promise<Written[]> {
  const layout = `${folder}/umoci`;
  const umoci = (command: string, ...args: string[]): Promise<string> =>
    run(["umoci", command, "--image", `${layout}:1`, ...args]);
  await run(["umoci", "init", "--layout", layout]);
  await umoci("new");
  await umoci("insert", first, "/");
  await umoci("unpack", `${folder}/bundle`);
  await changeIn(`${folder}/bundle/rootfs`, second);
  await umoci("repack", `${folder}/bundle`);
  const removes = true;
  // What is compressed already stays so.
  const plain = `${folder}/plain`;
  const how = ["--dest-decompress", "--dest-oci-accept-uncompressed-layers"];
  await run([...tool, ...how, `oci:${layout}:1`, `oci:${plain}:1`]);
  const written: Written[] = [
    { about: "umoci", uri: `oci:${layout}:1`, removes },
    { about: "skopeo copy, an uncompressed layout", uri: `oci:${plain}:1`, removes },
  ];
  const copies: [about: string, to: string, uri: string, how: string[], stored?: Stored][] = [
    ["oci", `docker://${host}/by/skopeo:oci`, "", [], gzip],
    ["docker", `docker://${host}/by/skopeo:docker`, "", ["--format=v2s2"], gzip],
    ["zstd", `docker://${await another()}/by/skopeo:1`, "", ["--dest-compress-format=zstd"], zstd],
    ["a layout", `oci:${folder}/skopeo:1`, "", []],
    ["oci-archive", `oci-archive:${folder}/skopeo-oci:1`, "", []],
    [
      "docker-archive",
      `docker-archive:${folder}/skopeo-docker:by/skopeo:1`,
      `docker-archive:${folder}/skopeo-docker`,
      [],
    ],
  ];
  for (const [about, to, uri, how, stored] of copies) {
    await run([...tool, ...how, `oci:${stored === zstd ? plain : layout}:1`, to]);
    written.push({
      ...{ about: `skopeo copy, ${about}`, uri: uri === "" ? to : uri, removes },
      ...(stored === undefined ? {} : { stored }),
    });
  }
  return written;
}

/** Make the second layer's changes in a root folder. */
async function changeIn(root: string, second: string): Promise<void> {
  await run(["cp", "-r", `${second}/.`, root]);
  await Deno.remove(`${root}/removed`);
}

/** How the layers of an image in the registry are stored. */
async function storedAs(uri: string): Promise<string[]> {
  const [, host, name, tag] = /^docker:\/\/([^/]+)\/(.+):(.+)$/.exec(uri) ?? [];
  const accept = ["oci.image.manifest.v1", "docker.distribution.manifest.v2"]
    .map((type) => `application/vnd.${type}+json`).join(", ");
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { headers: { accept } });
  const { layers } = await answer.json();
  return layers.map(({ mediaType }: { mediaType: string }) => mediaType.replace(/^.*[.+]/, ""));
}

Deno.test({
  name: "images import that other tools have written",
  // They need to mount, and to own files.
  ignore: Deno.uid() !== 0,
  async fn(t) {
    const folder = await Deno.makeTempDir({ prefix: "zenroot-written-" });
    try {
      await using stack = new AsyncDisposableStack();
      const another = async (): Promise<string> =>
        `127.0.0.1:${stack.use(await startRegistry()).port}`;
      await using bed = await Bed.make("plain user");
      const host = await another();
      const [first, second] = [`${folder}/first`, `${folder}/second`];
      for (const path of [first, second]) await Deno.mkdir(path);
      for (const name of ["kept", "changed", "removed"]) {
        await Deno.writeTextFile(`${first}/${name}`, "1");
      }
      for (const name of ["changed", "added"]) await Deno.writeTextFile(`${second}/${name}`, "2");
      const place = { folder, host, another, first, second };

      for (const write of [byDocker, byPodman, byBuildah, byUmociAndSkopeo]) {
        const written = await write(place);
        assert(written.length > 0);
        await openToAll(folder);
        for (const { about, uri, stored, removes = false } of written) {
          await t.step(about, async () => {
            if (stored !== undefined) assertEquals(await storedAs(uri), stored);
            await bed.succeed(["load", "-f", "-n", "x", uri]);
            const content: Record<string, string> = {};
            for (const name of ["kept", "changed", "added", "removed"]) {
              const text = await Deno.readTextFile(`${bed.data}/x/${name}`).catch((error) => {
                if (error instanceof Deno.errors.NotFound) return undefined;
                throw error;
              });
              if (text !== undefined) content[name] = text;
            }
            assertEquals(content, {
              ...{ kept: "1", changed: "2", added: "2" },
              ...(removes ? {} : { removed: "1" }),
            });
            await bed.succeed(["import", "-o", "x.sqsh", uri]);
            await Deno.remove(`${bed.work}/x.sqsh`);
          });
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
