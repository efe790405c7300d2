import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { compile } from "../packaging/compile.ts";
import { executable } from "./support/bed.ts";
import { run } from "./support/command.ts";
import { LoneExecutable } from "./support/lone_executable.ts";
import manifest from "../deno.json" with { type: "json" };

const top = new URL("../", import.meta.url).pathname;
const works = { code: 0, signal: null, stdout: `${manifest.version}\n`, stderr: "" };

if (Deno.env.get("ENROOT_UNDER_TEST") === undefined) {
  await Deno.stat(executable).catch(() => compile(() => {}));
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}

Deno.test("20 first starts at once all work, and unpack once", async () => {
  await using lone = await LoneExecutable.make();
  // Whoever unpacks renames a whole folder into place: strace counts that over all processes.
  const log = `${lone.temp}/renames`;
  await Deno.mkdir(lone.payloads, { recursive: true });
  await run(["chown", "-R", `${lone.uid}`, lone.home]);
  await Deno.chmod(lone.payloads, 0o700);
  const through = ["strace", "-ff", "-e", "trace=renameat", "-o", log];
  const results = await Promise.all(
    Array.from({ length: 20 }, () => lone.enroot(["version"], { through })),
  );
  for (const result of results) assertEquals(result, works);
  const logs = (await namesIn(lone.temp)).map((name) => Deno.readTextFile(`${lone.temp}/${name}`));
  const renames = (await Promise.all(logs)).join("").match(/renameat\(.*"tmp\..*= 0$/gm);
  assertEquals(renames?.length, 1);
  assertEquals((await namesIn(lone.payloads)).length, 2);
});

Deno.test("a damaged payload is made anew", async (t) => {
  await using lone = await LoneExecutable.make();
  assertEquals(await lone.enroot(["version"]), works);
  const payload = await lone.payload();
  const program = `${payload}/enroot`;
  const script = `${payload}/etc/environ.d/10-terminal.env`;
  const { size } = await Deno.stat(program);
  const damages: Record<string, () => Promise<void>> = {
    "a program cut short": () => Deno.truncate(program, size - 1),
    "an empty file": () => Deno.truncate(script, 0),
    "a missing file": () => Deno.remove(script),
    "a missing folder": () => Deno.remove(`${payload}/libexec`, { recursive: true }),
    "a program that cannot be executed": () => Deno.chmod(program, 0o644),
    "a file that others may write to": () => Deno.chmod(script, 0o666),
    "a link in the place of a file": async () => {
      await Deno.rename(script, `${script}.moved`);
      await Deno.symlink(`${script}.moved`, script);
    },
    "a file in the place of it all": async () => {
      await Deno.remove(payload, { recursive: true });
      await Deno.writeTextFile(payload, "");
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    await t.step(name, async () => {
      await damage();
      assertEquals(await lone.enroot(["version"]), works);
      const { isFile, mode } = await Deno.lstat(script);
      assertEquals([isFile, (mode ?? 0) & 0o777], [true, 0o644]);
      assertEquals((await Deno.stat(program)).size, size);
      assertEquals((await namesIn(lone.payloads)).length, 2);
    });
  }
});

Deno.test("what a killed unpacking leaves is removed by the next", async () => {
  await using lone = await LoneExecutable.make();
  // Reaching the limit of a file's size ends the process by a signal, half-way.
  const killed = await lone.enroot(["version"], {
    through: ["prlimit", "--fsize=1000000", "--core=0"],
  });
  assertEquals(killed.signal, "SIGXFSZ");
  const left = (await namesIn(lone.payloads)).filter((name) => name.startsWith("tmp."));
  assertEquals(left.length, 1);
  assertEquals(await lone.enroot(["version"]), works);
  await lone.payload();
});

Deno.test("another version goes when it was not used for a month", async () => {
  await using lone = await LoneExecutable.make();
  assertEquals(await lone.enroot(["version"]), works);
  const days = (count: number): Date => new Date(Date.now() - count * 86_400_000);
  const old = `${lone.payloads}/${"0".repeat(32)}`;
  const recent = `${lone.payloads}/${"1".repeat(32)}`;
  for (const [folder, age] of [[old, 31], [recent, 29]] as const) {
    await Deno.mkdir(`${folder}/lib`, { recursive: true });
    await Deno.writeTextFile(`${folder}/lib/file`, "");
    await run(["chown", "-R", `${lone.uid}`, folder]);
    await Deno.utime(folder, days(age), days(age));
  }
  const current = (await namesIn(lone.payloads)).find((name) => !/^(0+|1+|lock)$/.test(name));
  const payload = `${lone.payloads}/${current}`;
  // A call marks what it uses, and looks no further: only who unpacks tidies.
  await Deno.utime(payload, days(31), days(31));
  assertEquals(await lone.enroot(["version"]), works);
  assert(((await Deno.stat(payload)).mtime ?? days(99)) > days(1));
  assertEquals((await namesIn(lone.payloads)).length, 4);
  await Deno.remove(payload, { recursive: true });
  assertEquals(await lone.enroot(["version"]), works);
  assertEquals(
    await namesIn(lone.payloads),
    ["1".repeat(32), current ?? "", "lock"].sort(),
  );
});

Deno.test("a folder that somebody else could change is passed over", async (t) => {
  await using lone = await LoneExecutable.make();
  const nowhere = { HOME: undefined, XDG_RUNTIME_DIR: undefined };
  const planted = `${lone.temp}/enroot-${lone.uid}-payload`;
  const elsewhere = `${lone.home}/elsewhere`;
  await Deno.mkdir(elsewhere);
  await Deno.chown(elsewhere, lone.uid, lone.uid);
  const plants: [string, () => Promise<void>, string][] = [
    ["a symbolic link", () => Deno.symlink(elsewhere, planted), "Not a directory"],
    ["a file", () => Deno.writeTextFile(planted, ""), "Not a directory"],
    ["one that a group may write to", () => make(planted, 0o770), "others may write to it"],
    ["one that all may write to", () => make(planted, 0o1777), "others may write to it"],
    ["one in a folder that all may write to", () => Deno.chmod(lone.temp, 0o777), "on the way"],
  ];
  // Only root can give something to somebody else.
  if (Deno.uid() === 0) {
    plants.push(["one in a folder that another group may write to", async () => {
      await Deno.chmod(lone.temp, 0o770);
      await Deno.chown(lone.temp, lone.uid, lone.uid + 1);
    }, "on the way"]);
    plants.push(["another user's", async () => {
      await make(planted, 0o755);
      await Deno.chown(planted, lone.uid + 1, lone.uid);
    }, "it belongs to another user"]);
    plants.push(["one in another user's folder", async () => {
      await Deno.chmod(lone.temp, 0o755);
      await Deno.chown(lone.temp, lone.uid + 1, lone.uid);
      await make(planted, 0o700);
    }, "a folder on the way belongs to another user"]);
  }
  async function make(path: string, mode: number): Promise<void> {
    await Deno.mkdir(path);
    await Deno.chmod(path, mode);
    await Deno.chown(path, lone.uid, lone.uid);
  }
  for (const [name, plant, reason] of plants) {
    await t.step(name, async () => {
      await plant();
      const { code, stdout, stderr } = await lone.enroot(["version"], { env: nowhere });
      assertEquals([code, stdout], [1, ""]);
      assertStringIncludes(stderr, reason);
      assertEquals(await namesIn(elsewhere), []);
      const { isDirectory } = await Deno.lstat(planted).catch(() => ({ isDirectory: false }));
      if (isDirectory) assertEquals(await namesIn(planted), []);
      // With another place left, that one is used.
      const env = { ...nowhere, XDG_RUNTIME_DIR: lone.runtime };
      assertEquals(await lone.enroot(["version"], { env }), works);
      await Deno.remove(planted, { recursive: true }).catch(() => {});
      await Deno.chown(lone.temp, lone.uid, lone.uid);
      await Deno.chmod(lone.temp, 0o700);
    });
  }
  await t.step("a folder that all may write to, but not each to another's, is none", async () => {
    await Deno.chmod(lone.temp, 0o1777);
    assertEquals(await lone.enroot(["version"], { env: nowhere }), works);
  });
  await t.step("a home folder that is reached by a link is as good as any", async () => {
    await Deno.symlink(lone.home, `${lone.root}/link`);
    assertEquals(await lone.enroot(["version"], { env: { HOME: `${lone.root}/link` } }), works);
    await lone.payload();
  });
});

Deno.test({
  name: "where nothing may be executed, it runs from memory; where it may, from there",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using lone = await LoneExecutable.make();
    const id = `${lone.uid}`;
    const env = Object.entries(lone.env).map(([name, value]) => `${name}=${value}`);
    const become = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "env", "-i", ...env];
    /** Run commands where some folders are mounted without the right to execute. */
    const inside = (folders: string, command: string): Promise<string> => {
      const script = `for i in ${folders}; do
        mount -t tmpfs -o noexec,mode=0700,uid=${id},gid=${id} none ${lone.root}/$i || exit
      done; exec "$@"`;
      return run([
        ...["unshare", "--mount", "bash", "-c", script, "bash"],
        ...[...become, "bash", "-c", command, "bash", lone.path],
      ]);
    };
    const twice = '"$1" version && "$1" version';
    assertEquals(await inside("home run tmp", twice), `${works.stdout}${works.stdout}`);
    const where = '"$1" version && ls -d "$XDG_RUNTIME_DIR"/*';
    assertEquals(
      await inside("home", where),
      `${works.stdout}${lone.runtime}/enroot-payload\n`,
    );
    await lone.payload(`${lone.runtime}/enroot-payload`);
  },
});

Deno.test({
  name: "a file system that is too small is left as it was, and the next one used",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using lone = await LoneExecutable.make();
    const id = `${lone.uid}`;
    const options = `size=8m,mode=0700,uid=${id},gid=${id}`;
    const script = `mount -t tmpfs -o ${options} none ${lone.home} && shift && ` +
      '"$@" version && find "$HOME" -mindepth 4';
    const env = Object.entries(lone.env).map(([name, value]) => `${name}=${value}`);
    const become = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups"];
    const said = await run([
      ...["unshare", "--mount", "env", "-i", ...env, "bash", "-c", script, "bash", "-"],
      ...[...become, lone.path],
    ]);
    assertEquals(said, `${works.stdout}${lone.payloads}/lock\n`);
    await lone.payload(`${lone.runtime}/enroot-payload`);
  },
});

Deno.test("a payload that a package installed is used as it is", async () => {
  await using lone = await LoneExecutable.make();
  assertEquals(await lone.enroot(["version"]), works);
  const installed = `${lone.root}/libexec/enroot/payload`;
  await Deno.mkdir(`${lone.root}/libexec/enroot`, { recursive: true });
  await run(["mv", lone.payloads, installed]);
  await Deno.remove(`${await lone.payload(installed)}/cache`, { recursive: true });
  await run(["chmod", "-R", "a+rX,a-w", installed]);
  const before = await run(["find", installed]);
  assertEquals(await lone.enroot(["version"]), works);
  assertEquals(await run(["find", installed]), before);
  assertEquals(await namesIn(`${lone.home}/.cache/enroot`), []);
});

Deno.test("the launcher built with sanitizers does the same and reports nothing", async () => {
  await run(["make", "-s", "-C", `${top}/helper`, "sanitize"]);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.chmod(folder, 0o755);
    const output = await compile(() => {}, {
      output: `${folder}/enroot`,
      launcher: `${top}/helper/build/sanitize/enroot-launcher`,
    });
    await using lone = await LoneExecutable.make(output);
    // What it allocates is the next program's: it is never freed.
    const env = { ASAN_OPTIONS: "detect_leaks=0" };
    assertEquals(await lone.enroot(["version"], { env }), works);
    assertEquals(await lone.enroot(["version"], { env }), works);
    await Deno.remove(`${await lone.payload()}/main.js`);
    const more = { ...env, DENO_DIR: "/nonexistent", NODE_OPTIONS: "--bogus" };
    assertEquals(await lone.enroot(["version"], { env: more }), works);
    const nowhere = {
      ...env,
      HOME: "/dev/null",
      XDG_RUNTIME_DIR: "/dev/null",
      TMPDIR: "/dev/null",
    };
    const { code, stderr } = await lone.enroot(["version"], { env: nowhere });
    assertEquals([code, stderr.split("\n").length], [1, 2], stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
