import { assertEquals } from "@std/assert";
import { attempt, type Result, spawn } from "../support/command.ts";
import { done, firstOutput, other, owner, StoreCell } from "../support/store_cell.ts";

Deno.test("the caller's environment, files, limits and descriptors have no say", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  const mine = `${cell.root}/home`;
  await cell.asOwner([
    "sh",
    "-c",
    `
    mkdir -p ${mine}/.config/enroot ${mine}/etc ${mine}/data ${mine}/bin
    for i in ${mine}/.config/enroot ${mine}/etc; do
      echo ENROOT_DATA_PATH ${cell.root}/stores/${other} > $i/enroot.conf
    done
    for i in zfs mount umount id; do
      printf '#!/bin/sh\\ntouch ${mine}/ran' > ${mine}/bin/$i
      chmod 755 ${mine}/bin/$i
    done`,
  ]);
  const source = `${mine}/evil.c`;
  await Deno.writeTextFile(
    source,
    `#include <fcntl.h>\n__attribute__((constructor)) void run(void) { open("${mine}/ran", O_CREAT, 0666); }`,
  );
  assertEquals(
    (await attempt(["gcc", "-shared", "-fPIC", "-o", `${mine}/evil.so`, source])).code,
    0,
  );
  const env = [
    ...["env", `PATH=${mine}/bin`, `LD_PRELOAD=${mine}/evil.so`, `LD_LIBRARY_PATH=${mine}`],
    ...[`HOME=${mine}`, `ENROOT_SYSCONF_PATH=${mine}/etc`, `ENROOT_DATA_PATH=${mine}/data`],
    ...[`ENROOT_CONFIG_PATH=${mine}/etc`, "UID=0", "USER=root", "TMPDIR=/nonexistent"],
  ];
  const shell = (script: string): string[] => ["sh", "-c", `${script}`, "sh"];
  const ways: Record<string, string[]> = {
    "a hostile environment": env,
    "no standard descriptors": shell('exec "$@" <&- >&- 2>&-'),
    "a standard error that takes nothing": shell('exec "$@" 2>/dev/full'),
    "a limit of no bytes a file": ["prlimit", "--fsize=0"],
    "no core files and little memory": ["prlimit", "--core=0", "--data=2000000"],
    "all signals ignored": ["env", "--ignore-signal"],
  };
  for (const [name, way] of Object.entries(ways)) {
    await t.step(name, async () => {
      const call = (...args: string[]): Promise<Result> =>
        cell.attempt([...way, cell.program, ...args]);
      assertEquals((await call(dataset)).code, 0);
      const [line = "", ...more] = await cell.mounted();
      assertEquals([line.split(" ")[0], more], [`${cell.path}/box`, []]);
      assertEquals((await call(`${cell.dataset}/${other}/box`)).code, 1);
      assertEquals((await cell.mounted()).length, 1);
      assertEquals((await call("--unmount", dataset)).code, 0);
      assertEquals(await cell.mounted(), []);
    });
  }
  assertEquals((await cell.attempt(["test", "-e", `${mine}/ran`])).code, 1);
  await t.step("too few descriptors", async () => {
    for (let limit = 0; limit < 10; limit++) {
      const argv = ["prlimit", `--nofile=${limit}`, cell.program, dataset];
      const { code } = await cell.attempt(argv);
      const mounted = await cell.mounted();
      assertEquals(mounted.length, code === 0 ? 1 : 0);
      assertEquals(await cell.helper(["--unmount", dataset]), done);
    }
  });
  await t.step("too little memory", async () => {
    for (let limit = 0; limit < 1_000_000; limit += 50_000) {
      const argv = ["prlimit", `--as=${limit}`, cell.program, dataset];
      const { code } = await cell.attempt(argv);
      assertEquals((await cell.mounted()).length, code === 0 ? 1 : 0);
      assertEquals(await cell.helper(["--unmount", dataset]), done);
    }
  });
});

Deno.test("without the capability it says what is missing, and who does what", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  await t.step("never given", async () => {
    const program = await cell.installHelper("plain", "");
    const rule =
      `${program} lacks the capability to mount: as root: setcap cap_sys_admin+ep ${program}`;
    await cell.refuse(() => cell.attempt([program, dataset]), rule);
  });
  await t.step("given without the effective bit", async () => {
    const program = await cell.installHelper("permitted", "cap_sys_admin+p");
    assertEquals(await cell.attempt([program, dataset]), done);
    assertEquals(await cell.attempt([program, "--unmount", dataset]), done);
  });
  await t.step("no_new_privs", async () => {
    const argv = ["setpriv", "--no-new-privs", cell.program, dataset];
    await cell.refuse(() => cell.attempt(argv), "no_new_privs is set for this process");
  });
  await t.step("a file system mounted nosuid", async () => {
    const bin = `${cell.root}/bin`;
    await cell.asRoot(["mount", "--bind", "-o", "nosuid", bin, bin]);
    await cell.asRoot(["mount", "-o", "remount,bind,nosuid", bin]);
    await cell.refuse(() => cell.helper([dataset]), "is on a file system mounted nosuid");
    await cell.asRoot(["umount", bin]);
  });
  await t.step("but what is there already needs none", async () => {
    assertEquals(await cell.helper([dataset]), done);
    assertEquals(await cell.attempt([`${cell.root}/bin/plain`, dataset]), done);
  });
  await t.step("in a user namespace", async () => {
    const argv = ["unshare", "-Urm", cell.program, "--unmount", dataset];
    await cell.refuse(() => cell.attempt(argv), "this is inside a user namespace");
  });
});

Deno.test("what ZFS does not mount is told apart", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  await t.step("no dataset", async () => {
    await cell.asOwner(["mkdir", `${cell.path}/none`]);
    await cell.refuse(() => cell.helper([`${cell.store}/none`]), "there is no dataset");
    assertEquals(await cell.helper(["--unmount", `${cell.store}/none`]), done);
  });
  await t.step("a volume", async () => {
    await cell.asRoot(["zfs", "create", "-s", "-V", "8M", `${cell.store}/volume`]);
    await cell.asOwner(["mkdir", `${cell.path}/volume`]);
    await cell.refuse(() => cell.helper([`${cell.store}/volume`]), "is no file system");
  });
  await t.step("an encrypted one without its key", async () => {
    const secret = `${cell.root}/key`;
    await Deno.writeTextFile(secret, "0".repeat(64));
    const options = ["encryption=on", "keyformat=hex", `keylocation=file://${secret}`];
    await cell.asRoot([
      ...["zfs", "create", "-u", ...options.flatMap((option) => ["-o", option])],
      `${cell.store}/secret`,
    ]);
    await cell.asRoot(["zfs", "unload-key", `${cell.store}/secret`]);
    await cell.asOwner(["mkdir", `${cell.path}/secret`]);
    await cell.refuse(() => cell.helper([`${cell.store}/secret`]), "its key is not loaded");
  });
  await t.step("one that is used cannot be unmounted", async () => {
    assertEquals(await cell.helper([`${cell.store}/box`]), done);
    const user = spawn(cell.inside(["sh", "-c", `cd ${cell.path}/box && echo && exec sleep 100`]));
    try {
      await firstOutput(user);
      const rule = `${cell.path}/box is in use by a process: it cannot be unmounted`;
      await cell.refuse(() => cell.helper(["--unmount", `${cell.store}/box`]), rule);
    } finally {
      user.kill("SIGKILL");
      await user.output();
    }
    assertEquals(await cell.helper(["--unmount", `${cell.store}/box`]), done);
  });
});

Deno.test("${USER} is the folder of the caller's own, whoever he is", async (t) => {
  await using cell = await StoreCell.make();
  await cell.makeContainers(["box"]);
  const dataset = `${cell.store}/box`;
  const move = (path: string): Promise<string> =>
    cell.asRoot(["zfs", "set", `mountpoint=${path}`, cell.store]);
  await cell.asRoot(["mkdir", `${cell.root}/homes`]);
  for (const [name, uid] of [["ann", owner], ["bob", other], ["cid", owner]] as const) {
    await cell.asRoot(["install", "-d", "-m", "755", "-o", `${uid}`, `${cell.root}/homes/${name}`]);
  }
  for (const word of ["${USER}", "$(id -un)"]) {
    await t.step(`${word} as the store's own folder`, async () => {
      await cell.configure(`ENROOT_DATA_PATH ${cell.root}/stores/${word}\n`);
      await move(cell.path);
      assertEquals(await cell.helper([dataset]), done);
      assertEquals((await cell.mounted()).map((line) => line.split(" ")[0]), [`${cell.path}/box`]);
      assertEquals(await cell.helper(["--unmount", dataset]), done);
      await cell.refuse(
        () => cell.helper([dataset], other),
        "nothing else is mounted or unmounted",
      );
      await cell.refuse(() => cell.helper([dataset], 0), "no dataset is mounted at a path");
    });
    await t.step(`${word} as a folder above the store`, async () => {
      await cell.configure(`ENROOT_DATA_PATH ${cell.root}/homes/${word}/enroot\n`);
      await move(`${cell.root}/homes/ann/enroot`);
      assertEquals(await cell.helper([dataset]), done);
      assertEquals(await cell.helper(["--unmount", dataset]), done);
      await move(`${cell.root}/homes/bob/enroot`);
      await cell.refuse(() => cell.helper([dataset]), "no dataset is mounted at a path");
    });
  }
  await t.step("two that it could be", async () => {
    await move(`${cell.root}/homes/ann/enroot`);
    await cell.asRoot([
      ...[
        "zfs",
        "create",
        "-o",
        `mountpoint=${cell.root}/homes/cid/enroot`,
        `${cell.dataset}/second`,
      ],
    ]);
    await cell.refuse(() => cell.helper([dataset]), "more than one dataset is mounted at a path");
  });
});
