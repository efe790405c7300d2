import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnrootError } from "../../lib/errors.ts";
import { parseContainerName } from "../../lib/storage/container_name.ts";
import type { TemplateRequest } from "../../lib/storage/store.ts";
import { ZfsStore } from "../../lib/storage/zfs/zfs_store.ts";
import { storageSuite, type TestStore } from "../storage_suite.ts";
import { obtain } from "../support/obtain.ts";
import { TestDataset, zfs } from "../support/zfs_bed.ts";

interface ZfsTestStore extends TestStore {
  readonly dataset: TestDataset;
  readonly store: ZfsStore;
  readonly again: ZfsStore;
  readonly warnings: string[];
}

async function open(): Promise<ZfsTestStore> {
  const dataset = await TestDataset.make();
  const warnings: string[] = [];
  const options = { warn: (message: string): void => void warnings.push(message) };
  return {
    dataset,
    warnings,
    store: new ZfsStore(dataset.path, options),
    again: new ZfsStore(dataset.path, options),
    async leftovers() {
      const datasets = (await dataset.contents()).filter((name) => /\.tmp|ephemeral\//.test(name));
      const locks = [...Deno.readDirSync(dataset.path)].some(({ name }) => name === ".locks")
        ? [...Deno.readDirSync(`${dataset.path}/.locks`)].map(({ name }) => name)
        : [];
      const mountPoints =
        [...Deno.readDirSync(dataset.path)].some(({ name }) => name === ".templates")
          ? [...Deno.readDirSync(`${dataset.path}/.templates`)].map(({ name }) => name)
          : [];
      const mounted = [...(await dataset.mounted()).keys()].filter((name) => name.startsWith("."));
      return [
        ...[...datasets, ...mountPoints, ...mounted, ...warnings],
        ...locks.filter((name) => name !== "layout"),
      ];
    },
    [Symbol.asyncDispose]: () => dataset[Symbol.asyncDispose](),
  };
}

storageSuite("zfs", open);

const never = new AbortController().signal;
const id = "ab".repeat(32);
const name = parseContainerName("c");

function request(content: string, built: string[] = []): TemplateRequest {
  return {
    id,
    provenance: { uri: "docker://h.example/x:y", architecture: "amd64" },
    signal: never,
    async build(root) {
      built.push(root);
      await Deno.writeTextFile(`${root}/file`, content);
    },
  };
}

Deno.test("zfs store: a template is read-only, unmounted, and carries where it came from", async () => {
  await using test = await open();
  await obtain(test.store, request("content"));
  assertEquals(await test.dataset.contents(), [
    ".templates",
    `.templates/${id}`,
    `.templates/${id}@pristine`,
  ]);
  assertEquals([...(await test.dataset.mounted()).keys()], []);
  const get = (property: string): Promise<string> =>
    test.dataset.property(`.templates/${id}`, property);
  assertEquals(
    [await get("readonly"), await get("canmount"), await get("enroot:layout")],
    ["on", "noauto", "2"],
  );
  assertEquals([await get("enroot:uri"), await get("enroot:arch")], [
    "docker://h.example/x:y",
    "amd64",
  ]);
  assertEquals(await get("enroot:manifest-digest"), "-");
  assertEquals(Math.abs(Date.parse(await get("enroot:imported")) - Date.now()) < 60_000, true);
  assertEquals(Math.abs(Number(await get("enroot:last_used")) * 1000 - Date.now()) < 60_000, true);
});

Deno.test("zfs store: containers are clones, mounted nosuid and nodev, and not by themselves at boot", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  await zfs("set", "enroot:last_used=0", `${test.dataset.name}/.templates/${id}`);
  await test.store.createContainer(name, template, { replace: false });
  assertEquals(
    await test.dataset.property("c", "origin"),
    `${test.dataset.name}/.templates/${id}@pristine`,
  );
  assertEquals(await test.dataset.property("c", "canmount"), "noauto");
  assertEquals(await test.dataset.property("c", "readonly"), "off");
  const options = (await test.dataset.mounted()).get("c") ?? [];
  assertEquals([options.includes("nosuid"), options.includes("nodev")], [true, true]);
  const used = await test.dataset.property(`.templates/${id}`, "enroot:last_used");
  assertEquals(Number(used) > 0, true);
});

Deno.test("zfs store: after a reboot a container is mounted when it is asked for", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  const { path } = await test.store.createContainer(name, template, { replace: false });
  await Deno.writeTextFile(`${path}/mine`, "kept");
  await zfs("unmount", path);
  assertEquals([...(await test.dataset.mounted()).keys()], []);
  assertEquals((await test.again.containers()).map((each): string => each.name), ["c"]);
  assertEquals([...(await test.dataset.mounted()).keys()], []);
  const container = await test.again.container(name);
  assertEquals(container?.path, path);
  assertEquals(await Deno.readTextFile(`${path}/mine`), "kept");
});

Deno.test("zfs store: a container without its folder, and a folder without its container", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  const { path } = await test.store.createContainer(name, template, { replace: false });
  await zfs("unmount", path);
  await Deno.remove(path);
  assertEquals((await test.again.container(name))?.path, path);
  await Deno.mkdir(`${test.dataset.path}/stale`);
  assertEquals(await test.again.container(parseContainerName("stale")), undefined);
});

Deno.test("zfs store: a template half-made by a killed process is taken over, others' are removed", async () => {
  await using test = await open();
  await obtain(test.store, { ...request("other"), id: "cd".repeat(32) });
  const other = "ef".repeat(32);
  for (const dead of [id, other]) {
    const dataset = `${test.dataset.name}/.templates/${dead}.tmp`;
    await zfs("create", "-o", "canmount=noauto", dataset);
    await Deno.mkdir(`${test.dataset.path}/.templates/${dead}.tmp`, { recursive: true });
    await zfs("mount", dataset);
    await Deno.writeTextFile(`${test.dataset.path}/.templates/${dead}.tmp/half`, "");
    await Deno.writeTextFile(`${test.dataset.path}/.locks/${dead}`, "4194304\n");
  }
  const built: string[] = [];
  const template = await obtain(test.store, request("content", built));
  assertEquals(built.length, 1);
  const { path } = await test.store.createContainer(name, template, { replace: false });
  assertEquals([...Deno.readDirSync(path)].map((entry) => entry.name), ["file"]);
  assertEquals(await test.leftovers(), []);
});

Deno.test("zfs store: what is half-made and somebody's origin is set aside, and goes when it can", async () => {
  await using test = await open();
  await obtain(test.store, { ...request("other"), id: "cd".repeat(32) });
  const { name: store, path } = test.dataset;
  const half = `${store}/.templates/${id}.tmp`;
  await zfs("create", "-u", "-o", "canmount=noauto", half);
  for (const snapshot of ["pristine", "done", "mine"]) {
    await zfs("snapshot", `${half}@${snapshot}`);
    await zfs("clone", "-o", "canmount=noauto", `${half}@${snapshot}`, `${store}/.of-${snapshot}`);
  }
  await Deno.writeTextFile(`${path}/.locks/${id}`, "4194304\n");
  const template = await obtain(test.store, request("content"));
  await test.store.createContainer(name, template, { replace: false });
  const aside = async (): Promise<number> =>
    (await test.dataset.contents()).filter((each) => /\.tmp$/.test(each)).length;
  assertEquals(await aside(), 1);
  await test.store.prune({ all: false, isDryRun: false });
  assertEquals(await aside(), 1);
  for (const snapshot of ["pristine", "done", "mine"]) {
    await zfs("destroy", `${store}/.of-${snapshot}`);
  }
  await test.store.prune({ all: false, isDryRun: false });
  assertEquals(await aside(), 0);
  assertEquals(test.warnings, []);
});

Deno.test("zfs store: what a killed process was about to put in a container's place is put there", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  const { path } = await test.store.createContainer(name, template, { replace: false });
  await Deno.writeTextFile(`${path}/file`, "changed");
  const ephemeral = crypto.randomUUID();
  await zfs("create", "-u", "-o", "canmount=off", `${test.dataset.name}/.ephemeral`);
  const killed = async (): Promise<void> => {
    const [origin, clone] = [`.templates/${id}@pristine`, `.ephemeral/${ephemeral}`]
      .map((each) => `${test.dataset.name}/${each}`) as [string, string];
    await zfs("clone", "-o", "canmount=noauto", origin, clone);
    await Deno.writeTextFile(`${test.dataset.path}/.locks/e-${ephemeral}`, `4194304\n${name}\n`);
    await Deno.mkdir(`${test.dataset.path}/.ephemeral`, { recursive: true });
  };
  await killed();
  // The old one is still there: it is what it was.
  await test.again.tidyEphemerals();
  assertEquals(await Deno.readTextFile(`${path}/file`), "changed");
  assertEquals(await test.leftovers(), []);
  await test.store.removeContainer(name);
  await killed();
  await test.again.tidyEphemerals();
  assertEquals((await test.again.container(name))?.path, path);
  assertEquals(await Deno.readTextFile(`${path}/file`), "content");
  assertEquals(await test.leftovers(), []);
  // A clone that was made after its lock was found abandoned, and went.
  await killed();
  await Deno.remove(`${test.dataset.path}/.locks/e-${ephemeral}`);
  await test.store.prune({ all: false, isDryRun: false });
  assertEquals((await test.leftovers()).filter((each) => each !== "swept"), []);
});

Deno.test("zfs store: a template without its snapshot is built again", async () => {
  await using test = await open();
  await obtain(test.store, request("content"));
  await zfs("destroy", `${test.dataset.name}/.templates/${id}@pristine`);
  const built: string[] = [];
  const template = await obtain(test.store, request("content", built));
  assertEquals(built.length, 1);
  await test.store.createContainer(name, template, { replace: false });
});

Deno.test("zfs store: templates of another layout are set aside once, and never cloned from", async () => {
  await using test = await open();
  const old = `${test.dataset.name}/.templates`;
  await zfs("create", old);
  await zfs("create", `${old}/${id}`);
  await Deno.writeTextFile(`${test.dataset.path}/.templates/${id}/file`, "wrong");
  await zfs("snapshot", `${old}/${id}@pristine`);

  const clone = (): Promise<unknown> =>
    test.store.createContainer(name, { id }, { replace: false });
  assertEquals((await assertRejects(clone, EnrootError)).code, "no-template");

  const built: string[] = [];
  const template = await obtain(test.store, request("right", built));
  const { path } = await test.store.createContainer(name, template, { replace: false });
  assertEquals(await Deno.readTextFile(`${path}/file`), "right");
  assertEquals(built.length, 1);
  assertEquals(test.warnings.length, 1);
  assertEquals(await test.dataset.property(`.templates-aside/${id}`, "type"), "filesystem");
  assertEquals((await test.store.containers()).length, 1);

  await obtain(test.again, request("right", built));
  assertEquals([built.length, test.warnings.length], [1, 1]);
});

Deno.test("zfs store: an empty .templates that an administrator made, with a quota, is used", async () => {
  await using test = await open();
  await zfs("create", "-o", "quota=100M", `${test.dataset.name}/.templates`);
  await obtain(test.store, request("content"));
  assertEquals(await test.dataset.property(".templates", "quota"), String(100 << 20));
  assertEquals(await test.dataset.property(".templates", "canmount"), "off");
  assertEquals(test.warnings, []);
});

Deno.test("zfs store: a template that has gone is said to be gone, and nothing is made", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  await zfs("destroy", "-r", `${test.dataset.name}/.templates/${id}`);
  const error = await assertRejects(
    () => test.store.createContainer(name, template, { replace: false }),
    EnrootError,
  );
  assertEquals(error.code, "no-template");
  assertEquals(await test.store.containers(), []);
});

Deno.test("zfs store: snapshots that others made of a container go with it", async () => {
  await using test = await open();
  const template = await obtain(test.store, request("content"));
  await test.store.createContainer(name, template, { replace: false });
  await zfs("snapshot", `${test.dataset.name}/c@auto-2026`);
  await test.store.removeContainer(name);
  assertEquals(await test.store.containers(), []);
});

Deno.test("zfs store: a folder that is no dataset's mount point is refused with the command", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const error = assertThrows(
      () => new ZfsStore(`${folder}/x`, { warn: () => {} }),
      EnrootError,
      `zfs create -p -o mountpoint=${folder}/x -o setuid=off -o devices=off -o snapdir=disabled ` +
        "POOL/enroot/0",
    );
    assertEquals(error.code, "no-store");
    assertThrows(() => new ZfsStore(folder, { warn: () => {} }), EnrootError, "no ZFS dataset");
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test("zfs store: a user's store is refused to others but root, who fills nothing in it", async () => {
  await using dataset = await TestDataset.make(4711);
  const open = (uid: number): ZfsStore => new ZfsStore(dataset.path, { warn: () => {}, uid });
  const error = assertThrows(() => open(4712), EnrootError, "belongs to uid 4711");
  assertEquals(error.code, "not-owner");
  assertEquals(await open(0).containers(), []);
  const refused = await assertRejects(() => obtain(open(0), request("content")), EnrootError);
  assertEquals(refused.code, "not-owner");
  assertEquals(await dataset.contents(), []);
  assertEquals([...Deno.readDirSync(dataset.path)], []);
});
