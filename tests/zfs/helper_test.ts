import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  assertRefused,
  done,
  locked as flags,
  other,
  owner,
  StoreCell,
} from "../support/store_cell.ts";

Deno.test("a dataset is mounted where its name says, nosuid and nodev, and unmounted", async () => {
  await using cell = await StoreCell.make();
  const folders: Record<string, string> = {
    "box": "box",
    "b:2bc:20d": "b+c d",
    ":c3:a9:3a": "é:",
    ".templates": ".templates",
    [`.templates/${"a".repeat(64)}.tmp`]: `.templates/${"a".repeat(64)}.tmp`,
    ".ephemeral": ".ephemeral",
    ".ephemeral/x": ".ephemeral/x",
    [`${":20".repeat(55)}.`]: `${" ".repeat(55)}.`,
  };
  for (const [name, folder] of Object.entries(folders)) {
    const dataset = `${cell.store}/${name}`;
    await cell.makeContainers([name]);
    if (folder !== name) await cell.asOwner(["mkdir", `${cell.path}/${folder}`]);
    const before = await cell.mounts();
    assertEquals(await cell.helper([dataset]), done);
    const after = await cell.mounts();
    const [line = "", ...more] = after.filter((each) => !before.includes(each));
    assertEquals([more, after.length], [[], before.length + 1]);
    const escaped = `${cell.path}/${folder}`.replaceAll(" ", "\\040");
    const [, root, path, options = ""] = /^\S+ \S+ \S+ (\S+) (\S+) (\S+)/.exec(line) ?? [];
    assertEquals([root, path], ["/", escaped]);
    assertMatch(options, flags);
    assertStringIncludes(line, ` - zfs ${dataset} `);
    await cell.asOwner(["touch", `${cell.path}/${folder}/file`]);
    assertEquals(await cell.helper([dataset]), done, "what is mounted already is mounted");
    assertEquals(await cell.mounts(), after);
    assertEquals(await cell.helper(["--unmount", dataset]), done);
    assertEquals(await cell.mounts(), before);
    assertEquals(await cell.helper(["--unmount", dataset]), done, "and what is not is unmounted");
    assertEquals(await cell.mounts(), before);
  }
  assertEquals(await cell.helper([cell.store]), done, "the store itself is mounted");
});

Deno.test("a set-id program in a container is none on the host", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  assertEquals(await cell.helper([`${cell.store}/box`]), done);
  const program = `${cell.path}/box/id`;
  await cell.asRoot(["install", "-m", "4755", "/usr/bin/id", program]);
  assertEquals((await cell.asOwner([program, "-u"])).trim(), `${owner}`);
  await cell.asRoot(["mknod", "-m", "666", `${cell.path}/box/null`, "c", "1", "3"]);
  const { code } = await cell.attempt(["cat", `${cell.path}/box/null`]);
  assertEquals(code, 1, "nor is a device node a device");
});

Deno.test("what lets its snapshots be entered is not mounted: they would be without these flags", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const box = `${cell.store}/box`;
  await cell.asRoot(["zfs", "set", "snapdir=hidden", box]);
  await cell.refuse(() => cell.helper([box]), "snapdir=disabled");
  await cell.asRoot(["zfs", "inherit", "snapdir", box]);
  assertEquals(await cell.helper([box]), done);
  const program = `${cell.path}/box/id`;
  await cell.asRoot(["install", "-m", "4755", "/usr/bin/id", program]);
  await cell.asOwner(["zfs", "snapshot", `${box}@s`]);
  const { code } = await cell.attempt([`${cell.path}/box/.zfs/snapshot/s/id`, "-u"]);
  assertEquals(code !== 0, true, "there is no way to what the snapshot holds");
});

Deno.test("names that are no dataset's below the store are refused", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  await cell.makeContainers(["box"], other);
  const { store, dataset } = cell;
  const outside = "nothing else is mounted or unmounted";
  const odd = "below the store a name holds letters, digits, '.', '_', '-' and ':hh' only";
  const hex = "a ':' must be followed by two lower-case hex digits";
  const plain = "stands for a byte that is written as it is";
  const never = "stands for a byte that no name may hold";
  const dots = "no part of the name may be '.' or '..'";
  const empty = "a part of the name is empty";
  const cases: [string, string][] = [
    [dataset, outside],
    [dataset.replace(/\/.*/, ""), outside],
    [`${dataset}/${other}/box`, outside],
    [`${store}0`, outside],
    [`${store}@x`, outside],
    [`./${store}/box`, outside],
    [`${dataset}/../${store}/box`, outside],
    [`${store}/../${other}/box`, dots],
    [`${store}/..`, dots],
    [`${store}/./box`, dots],
    [`${store}/`, empty],
    [`${store}//box`, empty],
    [`${store}/box/`, empty],
    [`${store}/box@pristine`, odd],
    [`${store}/box%recv`, odd],
    [`${store}/b ox`, odd],
    [`${store}/b+x`, odd],
    [`${store}/é`, odd],
    [`${store}/b\nx`, odd],
    [`${store}/b\x1b[2Jx`, odd],
    [`${store}/:2B`, hex],
    [`${store}/:2`, hex],
    [`${store}/:`, hex],
    [`${store}/:2/b`, hex],
    [`${store}/:2e:2e`, plain],
    [`${store}/:62ox`, plain],
    [`${store}/x:2f..`, never],
    [`${store}/:00`, never],
    [`${store}/:0a`, never],
    [`${store}/:7f`, never],
    [`${store}/a/b/c/d`, "is more than 3 levels below the store"],
    [`${store}/${"x".repeat(300)}`, "the name of a dataset has at most 255 bytes"],
    ["x".repeat(100_000), "the name of a dataset has at most 255 bytes"],
  ];
  // Root has no store of his own here: whichever is configured is his as well.
  await cell.configure(`ENROOT_DATA_PATH ${cell.path}\n`);
  const before = await cell.mounts();
  for (const uid of [owner, 0]) {
    for (const options of [[], ["--unmount"]]) {
      const results = await cell.helperEach(cases.map(([name]) => name), options, uid);
      for (const [i, [, rule]] of cases.entries()) assertRefused(results[i] ?? done, rule);
    }
  }
  assertEquals(await cell.mounts(), before);
});

Deno.test("what belongs to somebody else is neither mounted nor unmounted", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box", "foreign", "place"]);
  const foreign = `${cell.store}/foreign`;
  assertEquals(await cell.helper([foreign]), done);
  await cell.asRoot(["chown", `${other}`, `${cell.path}/foreign`]);
  const rootFolder = "whose root folder is your own";
  await t.step("a mounted dataset in one's own store", async () => {
    await cell.refuse(() => cell.helper(["--unmount", foreign]), `belongs to uid ${other}: only a`);
  });
  assertEquals(await cell.helper(["--unmount", foreign], other).then(({ code }) => code), 1);
  await cell.configure(`ENROOT_DATA_PATH ${cell.path}\n`);
  await t.step("which root does", async () => {
    assertEquals(await cell.helper(["--unmount", foreign], 0), done);
    assertEquals(await cell.mounted(), []);
  });
  await t.step("one that is not mounted", async () => {
    await cell.refuse(() => cell.helper([foreign]), rootFolder);
    assertEquals(await cell.helper([foreign], 0), done);
    assertEquals(await cell.helper(["--unmount", foreign], 0), done);
  });
  await t.step("a mount point", async () => {
    await cell.asRoot(["chown", "0", `${cell.path}/place`]);
    const rule = "belongs to uid 0: only a folder of your own can be a mount point for you";
    await cell.refuse(() => cell.helper([`${cell.store}/place`]), rule);
  });
  await t.step("a store", async () => {
    const rule = "a store belongs to the owner of its root folder, and is for nobody else but root";
    for (const args of [[`${cell.store}/box`], ["--unmount", `${cell.store}/box`], [cell.store]]) {
      await cell.refuse(() => cell.helper(args, other), rule);
    }
    assertEquals(await cell.helper([`${cell.store}/box`]), done);
    await cell.refuse(() => cell.helper(["--unmount", `${cell.store}/box`], other), rule);
  });
  await t.step("the store itself", async () => {
    for (const uid of [owner, 0]) {
      await cell.refuse(() => cell.helper(["--unmount", cell.store], uid), "is the store itself");
    }
  });
});

Deno.test("a property has no say in where a dataset is mounted", async () => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  await cell.asRoot(["zfs", "set", "mountpoint=/etc", "setuid=on", "devices=on", dataset]);
  // zfs(8) removes the folder that was the mount point before.
  await cell.asOwner(["mkdir", "-p", `${cell.path}/box`]);
  assertEquals(await cell.helper([dataset]), done);
  const [line = "", ...more] = await cell.mounted();
  assertEquals(more, []);
  assertMatch(line, flags);
  assertEquals(line.split(" ")[0], `${cell.path}/box`);
});

Deno.test("no link is followed, and nothing is mounted over a mount", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box", ".templates", ".templates/x"]);
  const dataset = `${cell.store}/box`;
  const template = `${cell.store}/.templates/x`;
  const link = "is a symbolic link: no mount point is reached by following one";
  /** Put something else in the place of a folder of the store while a step runs. */
  const instead = (path: string, ...argv: string[]) => async (step: () => Promise<void>) => {
    await cell.asOwner(["mv", `${cell.path}/${path}`, `${cell.path}/away`]);
    await cell.asOwner(argv);
    await step();
    await cell.asOwner(["rm", "-r", `${cell.path}/${path}`]);
    await cell.asOwner(["mv", `${cell.path}/away`, `${cell.path}/${path}`]);
  };
  const both = async (name: string, rule: string): Promise<void> => {
    await cell.refuse(() => cell.helper([name]), rule);
    await cell.refuse(() => cell.helper(["--unmount", name]), rule);
  };
  await t.step("a link in the place of the mount point", async () => {
    await instead("box", "ln", "-s", "away", `${cell.path}/box`)(() => both(dataset, link));
  });
  await t.step("a link on the way to it", async () => {
    const way = `${cell.path}/.templates`;
    await instead(".templates", "ln", "-s", "away", way)(() => both(template, link));
  });
  await t.step("a file in its place", async () => {
    const argv = ["touch", `${cell.path}/box`];
    await instead("box", ...argv)(() => both(dataset, "Not a directory"));
  });
  await t.step("nothing in its place", async () => {
    await cell.asOwner(["rmdir", `${cell.path}/box`]);
    await cell.refuse(() => cell.helper([dataset]), "is not there: make it first");
    assertEquals(await cell.helper(["--unmount", dataset]), done);
    await cell.asOwner(["mkdir", `${cell.path}/box`]);
  });
  for (const [path, name] of [["box", dataset], [".templates", template]] as const) {
    await t.step(`another file system at ${path}`, async () => {
      await cell.asRoot([
        "mount",
        "-t",
        "tmpfs",
        "-o",
        `uid=${owner}`,
        "x",
        `${cell.path}/${path}`,
      ]);
      await cell.asOwner(["mkdir", `${cell.path}/${path}/x`]);
      await both(name, "something else is mounted at");
      await cell.asRoot(["umount", `${cell.path}/${path}`]);
    });
  }
  await t.step("another dataset at box, or a folder of the right one", async () => {
    await cell.asRoot(["mount", "-t", "zfs", "-o", "zfsutil", template, `${cell.path}/box`]);
    await both(dataset, "something else is mounted at");
    await cell.asRoot(["umount", `${cell.path}/box`]);
    assertEquals(await cell.helper([dataset]), done);
    await cell.asOwner(["mkdir", `${cell.path}/box/folder`]);
    await cell.asRoot(["mount", "--bind", `${cell.path}/box/folder`, `${cell.path}/box`]);
    await both(dataset, "something else is mounted at");
    await cell.asRoot(["umount", `${cell.path}/box`]);
    assertEquals(await cell.helper(["--unmount", dataset]), done);
  });
  await t.step("but on the way, the very dataset of the name", async () => {
    assertEquals(await cell.helper([`${cell.store}/.templates`]), done);
    await cell.asOwner(["mkdir", `${cell.path}/.templates/x`]);
    assertEquals(await cell.helper([template]), done);
    const rule = "is in use by a process";
    await cell.refuse(() => cell.helper(["--unmount", `${cell.store}/.templates`]), rule);
    assertEquals(await cell.helper(["--unmount", template]), done);
    assertEquals(await cell.helper(["--unmount", `${cell.store}/.templates`]), done);
    assertEquals(await cell.mounted(), []);
  });
  await t.step("a link on the way to the store", async () => {
    await cell.asRoot(["ln", "-s", "stores", `${cell.root}/link`]);
    await cell.configure(`ENROOT_DATA_PATH ${cell.root}/link/\${UID}\n`);
    await both(dataset, "leads through a symbolic link");
  });
  await t.step("a store below another mount, and none at all", async () => {
    await cell.configure(`ENROOT_DATA_PATH ${cell.path}\n`);
    await cell.asRoot(["mount", "-t", "tmpfs", "-o", `uid=${owner}`, "x", cell.path]);
    await both(dataset, "no dataset is mounted at");
    await cell.asRoot(["umount", cell.path]);
    await cell.configure(`ENROOT_DATA_PATH ${cell.path}/box\n`);
    await both(dataset, "no dataset is mounted at");
  });
});
