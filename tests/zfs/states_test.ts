import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { chainIds } from "../../lib/oci/chain_id.ts";
import { parseDiffId } from "../../lib/oci/digest.ts";
import { EnrootError } from "../../lib/errors.ts";
import { parseContainerName } from "../../lib/storage/container_name.ts";
import type { LayeredBuild, TemplateRequest } from "../../lib/storage/store.ts";
import { tryLockKey } from "../../lib/storage/zfs/key_lock.ts";
import { StoreFolder } from "../../lib/storage/zfs/store_folder.ts";
import { ZfsStore, type ZfsStoreOptions } from "../../lib/storage/zfs/zfs_store.ts";
import { run } from "../support/command.ts";
import { obtain } from "../support/obtain.ts";
import { TestDataset, zfs } from "../support/zfs_bed.ts";

const never = new AbortController().signal;
const warmSeconds = 100;

/** What makes a template go, in the order in which it is tried: its time, a quota that is nearly full, `--all`. */
const reasons = ["time", "pressure", "all"] as const;

/** A template, and when it goes. */
interface Row {
  readonly what: string;
  /** Seconds since it was imported and used last; absent: it carries no such properties. */
  readonly ages?: readonly [imported: number, used: number];
  /** What else is done to it, by a shell: `$T` is the template's dataset, `$S` the store's. */
  readonly script?: string;
  /** It is called `….tmp`. */
  readonly isUnfinished?: boolean;
  /** Somebody has its lock. */
  readonly isLocked?: boolean;
  readonly goes: typeof reasons[number] | "never";
}

const old = [5000, 5000] as const;
const rows: readonly Row[] = [
  { what: "live, however old", ages: old, script: "zfs clone $T@pristine $S/live", goes: "never" },
  { what: "used not long ago", ages: [5000, 50], goes: "pressure" },
  { what: "not used for long", ages: [5000, 200], goes: "time" },
  { what: "never cloned, imported just now", ages: [500, 500], goes: "all" },
  { what: "never cloned, imported long ago", ages: [700, 700], goes: "time" },
  { what: "cloned since, and not used for long", ages: [500, 200], goes: "time" },
  { what: "used in what is the future here", ages: [5000, -5000], goes: "pressure" },
  { what: "without properties", goes: "time" },
  { what: "held by somebody", ages: old, script: "zfs hold keep $T@pristine", goes: "never" },
  { what: "with snapshots of others", ages: old, script: "zfs snapshot $T@auto", goes: "time" },
  {
    what: "with a clone of another snapshot",
    ages: old,
    script: "zfs snapshot $T@auto; zfs clone -o mountpoint=none $T@auto $S/.foreign",
    goes: "never",
  },
  {
    what: "half destroyed: without its snapshot",
    ages: old,
    script: "zfs destroy $T@pristine",
    goes: "time",
  },
  {
    what: "half destroyed: its snapshot goes with its clone",
    ages: old,
    script: "zfs clone $T@pristine $S/last; zfs destroy -d $T@pristine",
    goes: "never",
  },
  { what: "in use by another command", ages: old, isLocked: true, goes: "never" },
  { what: "unfinished, of a killed process", ages: old, isUnfinished: true, goes: "time" },
  {
    what: "unfinished, of a process at work",
    ages: old,
    isUnfinished: true,
    isLocked: true,
    goes: "never",
  },
];

function open({ path }: TestDataset, options: Partial<ZfsStoreOptions> = {}): ZfsStore {
  const warn = (message: string): void => {
    throw new Error(message);
  };
  return new ZfsStore(path, { warn, ...options });
}

/** Some that are to go cannot, and who asks for it is told of those that somebody holds. */
function heldRow(): number {
  return rows.findIndex(({ script }) => script?.includes("hold"));
}

/** An id that is told apart at a glance. */
function idOf(index: number): string {
  return index.toString(16).padStart(2, "0").repeat(32);
}

Deno.test("every state of a template, and what ends it", async () => {
  await using dataset = await TestDataset.make();
  const store = open(dataset, { warmSeconds });
  // The first one makes the folders.
  await obtain(store, { id: "ff".repeat(32), provenance: {}, signal: never, build: never_ });
  await zfs("destroy", "-r", `${dataset.name}/.templates/${"ff".repeat(32)}`);
  const now = Math.floor(Date.now() / 1000);
  const datasets = rows.map(({ isUnfinished }, index) =>
    `$S/.templates/${idOf(index)}${isUnfinished ? ".tmp" : ""}`
  );
  const time = (age: number): string => new Date((now - age) * 1000).toISOString();
  const script = rows.map(({ ages, script = ":" }, index) => {
    const properties = ages === undefined
      ? ""
      : `-o enroot:imported=${time(ages[0])} -o enroot:last_used=${now - ages[1]}`;
    const made = `zfs create -u -o canmount=noauto ${properties} ${datasets[index]}`;
    return { made, more: `T=${datasets[index]}; ${script}` };
  });
  await run([
    "sh",
    "-euc",
    [
      `S=${dataset.name}`,
      ...script.map(({ made }) => made),
      `zfs snapshot ${datasets.map((each) => `${each}@pristine`).join(" ")}`,
      ...script.map(({ more }) => more),
    ].join("\n"),
  ]);
  await using held = new AsyncDisposableStack();
  const locks = new StoreFolder(dataset.path, ".locks");
  for (const [index, { isLocked }] of rows.entries()) {
    const lock = isLocked ? tryLockKey(locks, idOf(index)) : undefined;
    if (lock !== undefined) {
      held.use({ [Symbol.asyncDispose]: () => Promise.resolve(lock.leave()) });
    }
  }
  held.defer(async () => {
    await zfs("release", "keep", `${dataset.name}/.templates/${idOf(heldRow())}@pristine`);
  });

  const left = async (): Promise<string[]> => {
    const names = new Set(await dataset.contents());
    return rows.filter(({ isUnfinished }, index) =>
      names.has(`.templates/${idOf(index)}${isUnfinished ? ".tmp" : ""}`)
    ).map(({ what }) => what);
  };
  const expected = (after: number): string[] =>
    rows.filter(({ goes }) => goes === "never" || reasons.indexOf(goes) > after)
      .map(({ what }) => what);
  assertEquals((await left()).length, rows.length);

  await Deno.utime(`${dataset.path}/.locks/swept`, 0, 0).catch(() => {});
  await store.maintain();
  assertEquals(await left(), expected(0));

  const used = Number(await zfs("get", "-Hp", "-o", "value", "used", dataset.name));
  await zfs("set", `quota=${Math.ceil(used * 1.1)}`, dataset.name);
  await Deno.utime(`${dataset.path}/.locks/swept`, 0, 0);
  await store.maintain();
  assertEquals(await left(), expected(1));

  await zfs("set", "quota=none", dataset.name);
  const said: string[] = [];
  const warn = (message: string): void => void said.push(message);
  await open(dataset, { warmSeconds, warn }).prune({ all: true, isDryRun: false });
  assertEquals(await left(), expected(2));
  assertEquals(said.length, 1, said.join("\n"));
  assertStringIncludes(said[0] ?? "", `/${idOf(heldRow())}@pristine stays: somebody holds it`);
});

/** The quota, in MiB. The long runs have the one of 300 MB; a tenth of it shows the same in a tenth of the time. */
const quota = Deno.args.includes("all-users") ? 300 : 30;

/** Layers by their names, lowest first, in three-hundredths of the quota. */
type Sizes = Readonly<Record<string, number>>;

function mebibytes(size = 0): number {
  return size * quota / 300;
}

/** An image of these layers, for both ways of building it. */
function image(number: number, sizes: Sizes): TemplateRequest {
  const names = Object.keys(sizes);
  const diffIds = names.map((name) => {
    const hex = [...new TextEncoder().encode(name)].map((byte) => byte.toString(16)).join("");
    return parseDiffId(`sha256:${hex.padEnd(64, "0")}`);
  });
  const apply = async (index: number, root: string): Promise<void> => {
    const name = names[index] ?? "";
    using file = await Deno.open(`${root}/${name}`, { write: true, create: true });
    const piece = new Uint8Array(1 << 20).fill(number);
    for (let count = 0; count < mebibytes(sizes[name]); count++) {
      for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
    }
    await file.syncData();
  };
  const layered: LayeredBuild = {
    layers: chainIds(diffIds).flatMap((chainId, index) => {
      const diffId = diffIds[index];
      return diffId === undefined ? [] : [{ chainId, diffId }];
    }),
    begin() {},
    apply,
    finish: () => Promise.resolve(),
  };
  return {
    id: idOf(number),
    provenance: {},
    signal: never,
    async build(root) {
      for (const index of names.keys()) await apply(index, root);
    },
    layered,
  };
}

// Without the chain `lifecycle_test.ts` shows the same of smaller ones; this takes minutes in an emulated machine.
for (const layerChain of Deno.args.includes("all-users") ? [false, true] : [true]) {
  const title = `in a quota of ${quota} MB, chain ${layerChain ? "on" : "off"}`;
  Deno.test(`${title}: of images that do not fit together the right ones go`, async () => {
    await using dataset = await TestDataset.make(0, [`quota=${quota}M`, "compression=off"]);
    const store = open(dataset, { layerChain });
    const images = [{ base: 50, a: 50 }, { base: 50, b: 50 }, { c: 160 }, { d: 90 }, { e: 260 }];
    const left = async (): Promise<string> => {
      const contents = await dataset.contents();
      assertEquals(contents.filter((each) => each.includes(".tmp")), []);
      const layers = contents.filter((each) => /^\.layers\/[^@]+$/.test(each))
        .flatMap((each) => /^.layers\/(?:61|62|63|64|65)0/.exec(each) ?? []).length;
      assert(layerChain || layers === 0);
      return images.flatMap((sizes, index) =>
        contents.includes(`.templates/${idOf(index)}@pristine`) ? [Object.keys(sizes).at(-1)] : []
      ).join("");
    };
    const add = async (index: number): Promise<void> => {
      await obtain(store, image(index, images[index] as Sizes));
      await zfs(
        ...["set", `enroot:last_used=${1e9 + index}`],
        ...["enroot:imported=2000-01-01T00:00:00Z", `${dataset.name}/.templates/${idOf(index)}`],
      );
      await store.maintain();
    };
    await add(0);
    await add(1);
    assertEquals(await left(), "ab");
    const box = await store.createContainer(parseContainerName("box"), { id: idOf(1) }, {
      replace: false,
    });
    const sizesIn = (path: string): Record<string, number> =>
      Object.fromEntries(
        [...Deno.readDirSync(path)].map(({ name }) => name).sort()
          .map((name) => [name, Deno.statSync(`${path}/${name}`).size >> 20]),
      );
    // c has no room beside both: a is not in use, and b's container keeps what it shares with a.
    await obtain(store, image(2, images[2] as Sizes));
    assertEquals(await left(), "bc");
    const made = await store.createContainer(parseContainerName("c"), { id: idOf(2) }, {
      replace: false,
    });
    assertEquals(sizesIn(made.path), { c: mebibytes(160) });
    await store.removeContainer(parseContainerName("c"));
    // More than 80 % of the quota is in use, so c goes when d has come, which fits only without it.
    await zfs(
      "set",
      "enroot:imported=2000-01-01T00:00:00Z",
      `${dataset.name}/.templates/${idOf(2)}`,
    );
    await add(3);
    assertEquals(await left(), "bd");
    // What never fits is refused, and costs what is not in use, no more.
    const error = await assertRejects(
      () => obtain(store, image(4, images[4] as Sizes)),
      EnrootError,
    );
    assertEquals(error.code, "no-space");
    assertEquals(await left(), "b");
    assertEquals(sizesIn(box.path), { b: mebibytes(50), base: mebibytes(50) });
    await store.removeContainer(parseContainerName("box"));
    await obtain(store, image(4, images[4] as Sizes));
    assertEquals(await left(), "e");
    const layers = (await dataset.contents()).filter((each) => /^\.layers\/[^@]+$/.test(each));
    assertEquals(layers.length, layerChain ? 1 : 0);
  });
}

function never_(): Promise<void> {
  return Promise.resolve();
}
