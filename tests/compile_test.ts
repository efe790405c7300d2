import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { compile } from "../packaging/compile.ts";
import { executable } from "./support/bed.ts";
import { run } from "./support/command.ts";
import { LoneExecutable } from "./support/lone_executable.ts";
import manifest from "../deno.json" with { type: "json" };

const top = new URL("../", import.meta.url).pathname;
const works = { code: 0, signal: null, stdout: `${manifest.version}\n`, stderr: "" };

if (Deno.env.get("ENROOT_UNDER_TEST") === undefined && !await exists(executable)) {
  await compile(() => {});
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("the executable runs alone in a folder, and says which form it is", async () => {
  await using lone = await LoneExecutable.make();
  assertEquals(await lone.enroot(["version"]), works);
  const { executable: form } = JSON.parse((await lone.enroot(["info", "--json"])).stdout);
  assertEquals(form, Deno.env.has("DENORT_BIN") ? "compiled" : "bundle");
});

Deno.test("it unpacks where it can", async (t) => {
  await using lone = await LoneExecutable.make();
  const closed = { HOME: "/dev/null/home", XDG_RUNTIME_DIR: undefined };
  const places: [string, string, Record<string, string | undefined>][] = [
    ["home", lone.payloads, {}],
    ["XDG_CACHE_HOME", `${lone.home}/x/enroot/payload`, { XDG_CACHE_HOME: `${lone.home}/x` }],
    ["ENROOT_CACHE_PATH", `${lone.home}/a/b/payload`, { ENROOT_CACHE_PATH: `${lone.home}/a/b` }],
    ["no home that exists", `${lone.runtime}/enroot-payload`, { HOME: "/dev/null/home" }],
    ["no runtime folder either", `${lone.temp}/enroot-${lone.uid}-payload`, closed],
    ["relative paths are no places", lone.payloads, {
      ENROOT_CACHE_PATH: "x",
      XDG_CACHE_HOME: "y",
    }],
  ];
  for (const [name, folder, env] of places) {
    await t.step(name, async () => {
      assertEquals(await lone.enroot(["version"], { env }), works);
      const { uid, mode } = await Deno.lstat(await lone.payload(folder));
      assertEquals([uid, (mode ?? 0) & 0o777], [lone.uid, 0o700]);
      await Deno.remove(folder, { recursive: true });
    });
  }
  await t.step("a home that cannot be written is left alone", async () => {
    await Deno.remove(`${lone.home}`, { recursive: true });
    await Deno.mkdir(lone.home);
    await Deno.chown(lone.home, 0, 0).catch(() => {});
    await Deno.chmod(lone.home, 0o555);
    assertEquals(await lone.enroot(["version"]), works);
    await lone.payload(`${lone.runtime}/enroot-payload`);
  });
  await t.step("HOME unset, as when there is no entry in passwd", async () => {
    assertEquals(await lone.enroot(["version"], { env: { HOME: undefined } }), works);
  });
});

Deno.test("nowhere to unpack to: one line that names each place and the reason", async () => {
  await using lone = await LoneExecutable.make();
  for (const path of [lone.home, lone.runtime, lone.temp]) await Deno.chmod(path, 0o555);
  const { code, stdout, stderr } = await lone.enroot(["version"]);
  assertEquals([code, stdout], [1, ""]);
  assertEquals(stderr.split("\n").length, 2, stderr);
  for (
    const part of [
      "[ERROR] nowhere to unpack to",
      `${lone.payloads}: No such file or directory`,
      `${lone.runtime}/enroot-payload: Permission denied`,
      `${lone.temp}/enroot-${lone.uid}-payload: Permission denied`,
      "set ENROOT_CACHE_PATH",
    ]
  ) {
    assertStringIncludes(stderr, part);
  }
});

Deno.test("nothing of the job's environment steers the runtime", async () => {
  await using lone = await LoneExecutable.make();
  const hostile: Record<string, string> = {
    DENO_DIR: "/nonexistent",
    DENO_V8_FLAGS: "--bogus",
    DENO_CERT: "/nonexistent",
    DENO_AUTH_TOKENS: "bogus",
    DENO_AUDIT_PERMISSIONS: `${lone.temp}/audit`,
    GLIBC_TUNABLES: "glibc.malloc.check=3",
    LD_DEBUG: "all",
    LD_LIBRARY_PATH: "/nonexistent",
    LD_PRELOAD: "/nope",
    LD_AUDIT: "/nope",
    MALLOC_CHECK_: "3",
    NODE_CHANNEL_FD: "3",
    NODE_DEBUG: "*",
    NODE_EXTRA_CA_CERTS: "/nonexistent",
    NODE_OPTIONS: "--bogus",
    NPM_CONFIG_REGISTRY: "bogus",
    OTEL_DENO: "true",
    RUST_BACKTRACE: "full",
    RUST_LOG: "trace",
    SSLKEYLOGFILE: `${lone.temp}/keys`,
    ENROOT_CALLER_STATE: "bogus",
    ENROOT_CALLER_PROGRAMS: "bogus",
    ENROOT_CALLER_ENV_PATH: "/nope",
  };
  for (const [name, value] of Object.entries(hostile)) {
    assertEquals(await lone.enroot(["version"], { env: { [name]: value } }), works, name);
  }
  assertEquals(await lone.enroot(["version"], { env: hostile }), works);
  // The runtime reads this file, and a bad one would be the end of it.
  await Deno.writeFile(`${lone.home}/.npmrc`, new Uint8Array([0xff]));
  for (const name of ["deno.json", "package.json", "deno.lock", ".env"]) {
    for (const folder of [lone.root, lone.home, lone.payloads]) {
      await Deno.writeTextFile(`${folder}/${name}`, "{{{");
    }
  }
  assertEquals(await lone.enroot(["version"]), works);
  assertEquals(await Array.fromAsync(Deno.readDir(lone.temp)), []);
});

Deno.test("what is hidden from the runtime is there for what it runs", async () => {
  await using lone = await LoneExecutable.make();
  const given = "$HOME;$DENO_DIR;$NODE_OPTIONS;$LD_LIBRARY_PATH;$ENROOT_CALLER_STATE";
  await Deno.writeTextFile(
    `${lone.sysconf}/enroot.conf`,
    `ENROOT_SQUASH_OPTIONS $(echo "${given}"; env | grep -c '^ENROOT_CALLER_' || true)\n`,
  );
  const env = { DENO_DIR: "/d", NODE_OPTIONS: "--n", LD_LIBRARY_PATH: "/l" };
  const { stdout } = await lone.enroot(["info"], { env });
  assertStringIncludes(stdout, `ENROOT_SQUASH_OPTIONS=${lone.home};/d;--n;/l; 0\n`);
  const unset = await lone.enroot(["info"], { env: { HOME: undefined } });
  assertStringIncludes(unset.stdout, "ENROOT_SQUASH_OPTIONS=;;;; 0\n");
});

Deno.test("the caller's descriptors stay open, and none of ours passes", async () => {
  await using lone = await LoneExecutable.make();
  await Deno.writeTextFile(
    `${lone.sysconf}/enroot.conf`,
    "ENROOT_SQUASH_OPTIONS $(for fd in /proc/$$/fd/*; do readlink -n $fd && echo -n =${fd##*/}\\;; done)\n",
  );
  const mark = `${lone.root}/mark`;
  await Deno.writeTextFile(mark, "");
  const redirections = [4, 5, 6, 7, 8, 9].map((fd) => `${fd}<${mark}`).join(" ");
  const through = ["bash", "-c", `exec "$@" ${redirections}`, "bash"];
  const { stdout } = await lone.enroot(["info"], { through });
  const [, list = ""] = /ENROOT_SQUASH_OPTIONS=(.*)/.exec(stdout) ?? [];
  assertEquals(
    list.split(";").filter((entry) => entry.startsWith(mark)),
    [4, 5, 6, 7, 8, 9].map((fd) => `${mark}=${fd}`),
  );
  // Whatever the tests themselves were given passes as well.
  assert(!list.includes("payload") && !list.includes("anon_inode"), list);
});

Deno.test("a copy that is not whole says so", async () => {
  await using lone = await LoneExecutable.make();
  const { size } = await Deno.stat(lone.path);
  for (const length of [100_000, size - 1, size + 1]) {
    await Deno.copyFile(executable, lone.path);
    await Deno.truncate(lone.path, length);
    assertEquals(await lone.enroot(["version"]), {
      ...works,
      code: 1,
      stdout: "",
      stderr: `[ERROR] ${lone.path} is damaged or incomplete: copy or install it again\n`,
    });
  }
});

Deno.test("what jobs wait for is at most two parts, with nothing in them that costs time", async () => {
  await using lone = await LoneExecutable.make();
  assertEquals(await lone.enroot(["version"]), works);
  if (Deno.env.has("DENORT_BIN")) return;
  const folder = await lone.payload();
  const seen = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = await Deno.readTextFile(`${folder}/${name}`);
    for (const [, part = ""] of text.matchAll(/^(?:import|\} from) "\.\/([^"]+)";$/gm)) {
      await visit(part);
    }
    assert(!/from "node:|_zod|import\("/.test(text), `main.js loads ${name}`);
  };
  await visit("main.js");
  const all = await Promise.all([...seen].map((name) => Deno.readTextFile(`${folder}/${name}`)));
  for (const name of ["create", "start", "list", "remove"]) {
    assert(all.some((text) => text.includes(`// lib/commands/${name}.ts\n`)), name);
  }
  assert(seen.size <= 2, [...seen].join(" "));
});

Deno.test("two builds from two folders are the same, byte for byte", async () => {
  const outer = await Deno.makeTempDir();
  // Neither as deep as this checkout nor as its neighbour in the same folder.
  const folder = `${outer}/a/b/c/d/e`;
  try {
    await Deno.mkdir(folder, { recursive: true });
    const parts = ["main.ts", "deno.json", "deno.lock", "lib", "workers", "helper", "packaging"];
    for (const part of parts) await run(["cp", "-r", `${top}/${part}`, folder]);
    const script = `import { compile } from "${folder}/packaging/compile.ts";
      await compile(() => {}, { output: "${folder}/copy" });`;
    await run([Deno.execPath(), "eval", "--config", `${folder}/deno.json`, script]);
    await compile(() => {}, { output: `${folder}/original` });
    await run(["cmp", `${folder}/copy`, `${folder}/original`]);
  } finally {
    await Deno.remove(outer, { recursive: true });
  }
});
