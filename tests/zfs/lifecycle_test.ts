import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { EnrootError } from "../../lib/errors.ts";
import { chainIds } from "../../lib/oci/chain_id.ts";
import { parseDiffId } from "../../lib/oci/digest.ts";
import { parseContainerName } from "../../lib/storage/container_name.ts";
import type { LayeredBuild, TemplateRequest } from "../../lib/storage/store.ts";
import { ZfsStore, type ZfsStoreOptions } from "../../lib/storage/zfs/zfs_store.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { obtain } from "../support/obtain.ts";
import { TestDataset, zfs, ZfsBed } from "../support/zfs_bed.ts";

const never = new AbortController().signal;
const [a, b, c] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const name = parseContainerName("kept");

function open({ path }: TestDataset, options: Partial<ZfsStoreOptions> = {}): ZfsStore {
  return new ZfsStore(path, {
    warn: (message) => {
      throw new Error(message);
    },
    ...options,
  });
}

/** A template of so many mebibytes that do not compress. */
function request(id: string, size = 1): TemplateRequest {
  return {
    id,
    provenance: {},
    signal: never,
    async build(root) {
      using file = await Deno.open(`${root}/file`, { write: true, create: true });
      const piece = new Uint8Array(65_536);
      for (let count = 0; count < size * 16; count++) {
        await file.write(crypto.getRandomValues(piece));
      }
      await file.syncData();
    },
  };
}

async function templates(dataset: TestDataset): Promise<string[]> {
  return (await dataset.contents()).filter((each) => /^\.templates\/[^@]+$/.test(each))
    .map((each) => each.slice(".templates/".length, ".templates/".length + 1));
}

/** Move the times of a template into the past. */
async function age({ name }: TestDataset, id: string, seconds: number): Promise<void> {
  const then = Date.now() - seconds * 1000;
  await zfs(
    ...["set", `enroot:last_used=${Math.floor(then / 1000)}`],
    ...[`enroot:imported=${new Date(then).toISOString()}`, `${name}/.templates/${id}`],
  );
}

Deno.test("a sweep takes cold templates, and leaves those that are warm, fresh or in use", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { warmSeconds: 1000 });
  for (const id of [a, b, c]) await obtain(store, request(id));
  await store.createContainer(name, { id: b }, { replace: false });
  for (const id of [a, b]) await age(dataset, id, 2000);
  await store.maintain();
  assertEquals(await templates(dataset), ["b", "c"]);
  // The next is ten minutes away, unless something is filled.
  await age(dataset, c, 2000);
  await store.maintain();
  assertEquals(await templates(dataset), ["b", "c"]);
  await Deno.utime(`${dataset.path}/.locks/swept`, 0, 0);
  await open(dataset, { warmSeconds: 1000 }).maintain();
  assertEquals(await templates(dataset), ["b"]);
});

Deno.test("with nothing kept, `remove` takes the template with its last container", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { warmSeconds: 0 });
  await obtain(store, request(a));
  const [one, two] = [parseContainerName("one"), parseContainerName("two")];
  for (const each of [one, two]) await store.createContainer(each, { id: a }, { replace: false });
  // It counts as cloned once its use is later than its import.
  await zfs("set", "enroot:imported=2020-01-01T00:00:00Z", `${dataset.name}/.templates/${a}`);
  await store.removeContainer(one);
  await store.maintain();
  assertEquals(await templates(dataset), ["a"]);
  await store.removeContainer(two);
  await store.maintain();
  assertEquals(await templates(dataset), []);
});

Deno.test("under pressure of a quota those used longest ago go first, the new one ends right", async () => {
  await using dataset = await TestDataset.make(0, ["quota=40M"]);
  const store = open(dataset, { threshold: 0.6 });
  for (const [index, id] of [a, b].entries()) {
    await obtain(store, request(id, 10));
    await age(dataset, id, 5000 - index * 1000);
  }
  await obtain(store, request(c, 10));
  await zfs("set", "quota=40M", dataset.name);
  await store.maintain();
  assertEquals(await templates(dataset), ["b", "c"]);
});

Deno.test("for want of room what is idle goes; with nothing left that could, one clear error", async () => {
  await using dataset = await TestDataset.make(0, ["quota=20M"]);
  const store = open(dataset);
  await obtain(store, request(a, 12));
  await obtain(store, request(b, 12));
  assertEquals(await templates(dataset), ["b"]);
  const container = await store.createContainer(name, { id: b }, { replace: false });
  const error = await assertRejects(() => obtain(store, request(c, 12)), EnrootError);
  assertEquals(error.code, "no-space");
  assertStringIncludes(error.message, "MiB are free");
  assertEquals(await templates(dataset), ["b"]);
  assertEquals((await Deno.stat(`${container.path}/file`)).size, 12 << 20);
  await store.removeContainer(name);
  await obtain(store, request(c, 12));
  assertEquals(await templates(dataset), ["c"]);
});

/** A build of layers, each with one file that is called as it. */
function layered(...digits: readonly string[]): LayeredBuild {
  const diffIds = digits.map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`));
  return {
    layers: chainIds(diffIds).map((chainId, index) => {
      const diffId = diffIds[index];
      assert(diffId !== undefined);
      return { chainId, diffId };
    }),
    begin() {},
    apply: (index, root) => Deno.writeTextFile(`${root}/${digits[index]}`, ""),
    finish: (root) => Deno.writeTextFile(`${root}/end`, ""),
  };
}

Deno.test("layers go with the last template that needs them, the leaf first", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { layerChain: true, warmSeconds: 1000 });
  await obtain(store, { ...request(a), layered: layered("1", "2", "3") });
  await obtain(store, { ...request(b), layered: layered("1", "4") });
  const layers = `${dataset.name}/.layers`;
  const count = async (): Promise<number> =>
    (await dataset.contents()).filter((each) => /^\.layers\/[^@]+$/.test(each)).length;
  assertEquals(await count(), 4);
  const readonly = async (): Promise<string[]> =>
    (await zfs("get", "-H", "-d1", "-t", "filesystem", "-o", "value", "readonly", layers))
      .trim().split("\n").slice(1);
  assertEquals(await readonly(), ["on", "on", "on", "on"]);
  // A process that was killed did not get so far: whoever needs the layer next does it.
  await zfs("set", "readonly=off", `${layers}/${layered("1").layers[0]?.chainId.slice(7)}`);
  await zfs("destroy", "-r", `${dataset.name}/.templates/${b}`);
  await obtain(store, { ...request(b), layered: layered("1", "4") });
  assertEquals([await readonly(), await count()], [["on", "on", "on", "on"], 4]);
  const { path } = await store.createContainer(name, { id: b }, { replace: false });
  assertEquals([...Deno.readDirSync(path)].map((each) => each.name).sort(), ["1", "4", "end"]);
  await age(dataset, a, 2000);
  await store.maintain();
  assertEquals([await templates(dataset), await count()], [["b"], 2]);
  await store.removeContainer(name);
  await age(dataset, b, 2000);
  await Deno.utime(`${dataset.path}/.locks/swept`, 0, 0);
  await store.maintain();
  assertEquals([await templates(dataset), await count()], [[], 0]);
});

Deno.test("what was begun on a layer that a killed process did not finish goes with it", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { layerChain: true });
  await obtain(store, { ...request(a), layered: layered("1") });
  const locks = `${dataset.path}/.locks`;
  const chain = layered("1", "2", "3").layers.map(({ chainId }) => chainId.slice(7));
  const [first, second, third] = chain.map((id) => `${dataset.name}/.layers/${id}`) as [
    string,
    string,
    string,
  ];
  const template = `${dataset.name}/.templates/${c}.tmp`;
  await zfs("clone", "-o", "canmount=noauto", `${first}@done`, `${second}.tmp`);
  await zfs("snapshot", `${second}.tmp@done`);
  for (const clone of [`${third}.tmp`, template]) {
    await zfs("clone", "-o", "canmount=noauto", `${second}.tmp@done`, clone);
  }
  for (const lock of [`l-${chain[1]}`, `l-${chain[2]}`, c]) {
    await Deno.writeTextFile(`${locks}/${lock}`, "4194304\n");
  }
  await obtain(store, { ...request(b), layered: layered("1", "2") });
  const contents = await dataset.contents();
  assertEquals(contents.filter((each) => each.includes(".tmp")), []);
  assertEquals(contents.filter((each) => /^\.layers\/[^@]+$/.test(each)).length, 2);
  assertEquals((await Array.fromAsync(Deno.readDir(locks))).map((each) => each.name), ["layout"]);
});

Deno.test("what is kept is shown with its state, and pruned: what is cold, or all that is not in use", async () => {
  await using store = await ZfsBed.make("plain user");
  const { bed, dataset } = store;
  const chain = { ENROOT_ZFS_LAYER_CHAIN: "y" };
  for (const image of ["live", "warm", "cold"]) {
    await makeBusyboxImage(`${bed.work}/${image}`, "x", { [`etc/${image}`]: "" });
  }
  await bed.own();
  for (const image of ["live", "warm", "cold"]) {
    await store.succeed(["import", "-o", `${image}.sqsh`, `oci:${image}:x`], { env: chain });
  }
  await store.succeed(["create", "-n", "c", "live.sqsh"]);
  const shown = async (...args: string[]): Promise<string[]> => {
    const items = JSON.parse(await store.succeed(["cache", ...args, "--json"]));
    return items.map(({ kind, state, uris }: Record<string, string[]>) =>
      [kind, state, /\w+(?=:x$)/.exec(uris?.[0] ?? "")?.[0]].join(" ").trim()
    ).sort();
  };
  const idOf = async (image: string): Promise<string> =>
    /^image-config-sha256=(.*)$/m.exec(await Deno.readTextFile(`${bed.work}/${image}.sqsh`))?.[1] ??
      "";
  await age(dataset, await idOf("cold"), 30 * 86_400);
  const live = ["layer live", "layer live", "layer live", "layer live", "template live live"];
  const all = [...live, "template warm warm", "template cold cold"];
  assertEquals(await shown("list"), all.toSorted());
  assertMatch(await store.succeed(["cache", "list"]), /^template +sha256:.* live +oci:.*live:x$/m);

  assertEquals(await shown("prune", "--dry-run"), ["layer cold", "template cold cold"]);
  assertEquals(await shown("list"), all.toSorted());
  assertEquals(await shown("prune"), ["layer cold", "template cold cold"]);
  assertEquals(await shown("list"), [...live.slice(1), "template warm warm"].toSorted());
  assertEquals(await shown("prune", "--all", "--dry-run"), ["layer cold", "template warm warm"]);
  assertEquals(await shown("prune", "--all"), ["layer cold", "template warm warm"]);
  assertEquals(await shown("list"), live.slice(2));
  assertEquals(await store.succeed(["start", "c", "ls", "/etc/live"]), "/etc/live\n");
});
