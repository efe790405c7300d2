import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { type Config, loadConfig } from "./config.ts";
import { describeConfig } from "./describe.ts";
import { keys } from "./keys.ts";

/** Load from files given by name, with an environment of nothing but what is given. */
async function load(
  files: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
  more: { uid?: number; warn?: (message: string) => void } = {},
): Promise<Config> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    return await loadConfig({
      environment: {
        HOME: "/home/u",
        PATH: "/usr/bin:/bin",
        ENROOT_SYSCONF_PATH: folder,
        ...environment,
      },
      ...more,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("with nothing set, everything has its default", async () => {
  const config = await load({}, { XDG_RUNTIME_DIR: "/usr" });
  assertEquals(
    [config.runtimePath, config.configPath, config.cachePath, config.dataPath, config.tempPath],
    [
      "/usr/enroot",
      "/home/u/.config/enroot",
      "/home/u/.cache/enroot",
      "/home/u/.local/share/enroot",
      "/tmp",
    ],
  );
  assertEquals(config.squashOptions, ["-comp", "lzo", "-noD", "-exit-on-error"]);
  assertEquals([config.maxConnections, config.connectTimeoutSeconds], [10, 30]);
  assertEquals([config.loginShell, config.allowHttp, config.nativeOverlayfs], [true, false, true]);
  assertEquals([config.storageBackend, config.zfsImportFormat], ["dir", "pointer"]);
  assertEquals([config.templateWarmSeconds, config.templatePressureThreshold], [604_800, 0.8]);
  assertEquals([config.maxLayerSize, config.templateStore], [undefined, undefined]);
  assert(config.maxProcessors >= 1);
  for (const each of [config, config.variables, config.squashOptions]) {
    assert(Object.isFrozen(each));
  }
});

Deno.test("later files win over earlier ones, and the environment over all", async () => {
  const files = {
    "enroot.conf": "ENROOT_TEMP_PATH /a\nENROOT_DATA_PATH=/a\nENROOT_CACHE_PATH /a\n",
    "enroot.conf.d/20.conf": "ENROOT_CACHE_PATH /c\n",
    "enroot.conf.d/10.conf": "ENROOT_CACHE_PATH /b\nENROOT_DATA_PATH /b\n",
    "enroot.conf.d/30.off": "ENROOT_CACHE_PATH /d\n",
  };
  const config = await load(files, { ENROOT_DATA_PATH: "/e" });
  assertEquals([config.tempPath, config.cachePath, config.dataPath], ["/a", "/c", "/e"]);
});

const expansions: [value: string, expected: string][] = [
  ["/x/${USER}", "/x/me"],
  ["/x/$USER", "/x/me"],
  ["/x/${NONE:-}/y", "/x/y"],
  ["${NONE}", "/tmp"],
  ["~/x", "/home/u/x"],
  ["~", "/home/u"],
  ['"~/x"', "/home/u/x"],
  ["~/$(echo x)", "/home/u/x"],
  ["/x/${NONE:-z}", "/x/z"],
  ["/x/$(echo a b)", "/x/a b"],
  ["/x/`echo c`", "/x/c"],
  ["'/x/${USER}'", "/x/${USER}"],
  ["'/x/quoted' # it's so", "/x/quoted"],
  ['"/x/${USER}" # "so"', "/x/me"],
  ["/x/${UID}", `/x/${Deno.uid()}`],
  ["${ENROOT_CACHE_PATH}/y", "/first/y"],
  ["$(echo ${ENROOT_CACHE_PATH})/z", "/first/z"],
  ['"/x/quoted # text"', "/x/quoted # text"],
  ["/x  # a comment", "/x"],
  ["/x/a#b", "/x/a#b"],
];
for (const [value, expected] of expansions) {
  Deno.test(`the value ${value} becomes ${expected}`, async () => {
    const text = `ENROOT_CACHE_PATH /first\nENROOT_TEMP_PATH ${value}\n`;
    assertEquals((await load({ "enroot.conf": text }, { USER: "me" })).tempPath, expected);
  });
}

for (const word of ["off", "OFF", "Off", "No", "False", "F"]) {
  Deno.test(`${word} turns a switch off, also for hooks`, async () => {
    const text = `ENROOT_LOGIN_SHELL ${word}\nENROOT_ALLOW_HTTP ${word}\n`;
    const files = { "enroot.conf": text };
    for (const config of [await load(files), await load(files, { ENROOT_LOGIN_SHELL: word })]) {
      assertEquals([config.loginShell, config.allowHttp], [false, false]);
      const names = Object.keys(config.variables);
      assertEquals(names.filter((name) => /LOGIN_SHELL|ALLOW_HTTP/.test(name)), []);
    }
  });
}

for (const word of ["n", "no", "N", "NO", "false", "FALSE", "f"]) {
  Deno.test(`${word} means unset, and turns off what is on by default`, async () => {
    const text =
      `ENROOT_LOGIN_SHELL ${word}\nENROOT_ALLOW_HTTP ${word}\nENROOT_MAX_CONNECTIONS ${word}`;
    const config = await load({ "enroot.conf": text });
    assertEquals([config.loginShell, config.allowHttp, config.maxConnections], [false, false, 10]);
    assertEquals((await load({}, { ENROOT_LOGIN_SHELL: word })).loginShell, false);
  });
}

const good: [key: string, value: string, property: keyof Config, expected: unknown][] = [
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "75", "templatePressureThreshold", 0.75],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "75%", "templatePressureThreshold", 0.75],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "0.75", "templatePressureThreshold", 0.75],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "1.0", "templatePressureThreshold", 1],
  ["ENROOT_TEMPLATE_WARM_SECONDS", "inf", "templateWarmSeconds", Infinity],
  ["ENROOT_TEMPLATE_WARM_SECONDS", "0", "templateWarmSeconds", 0],
  ["ENROOT_CACHE_MAX_SIZE", "20G", "cacheMaxSize", 20 * 2 ** 30],
  ["ENROOT_MAX_LAYER_SIZE", "500", "maxLayerSize", 500],
  ["ENROOT_MAX_INFLATE_RATIO", "2.5", "maxInflateRatio", 2.5],
  ["ENROOT_STORAGE_BACKEND", "zfs", "storageBackend", "zfs"],
  ["ENROOT_ALLOW_HTTP", "yes", "allowHttp", true],
  ["ENROOT_ALLOW_HTTP", "y", "allowHttp", true],
  ["ENROOT_ALLOW_HTTP", "on", "allowHttp", true],
  ["ENROOT_ALLOW_HTTP", "ON", "allowHttp", true],
  ["ENROOT_LOG_LEVEL", "WARNING", "logLevel", "warning"],
  ["ENROOT_LOG_LEVEL", "Warn", "logLevel", "warn"],
  ["ENROOT_LOG_LEVEL", "error", "logLevel", "error"],
  ["ENROOT_DATA_PATH", "/a//b/", "dataPath", "/a/b"],
  ["ENROOT_SQUASH_OPTIONS", "-comp  zstd", "squashOptions", ["-comp", "zstd"]],
  ["ENROOT_MAX_PROCESSORS", "0", "maxProcessors", navigator.hardwareConcurrency],
  ["ENROOT_MAX_PROCESSORS", "3", "maxProcessors", 3],
  ["ENROOT_MAX_LAYER_SIZE", "2000000000000", "maxLayerSize", 2e12],
  ["ENROOT_MAX_LAYER_SIZE", "8191t", "maxLayerSize", 8191 * 2 ** 40],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "100", "templatePressureThreshold", 1],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", ".5", "templatePressureThreshold", 0.5],
  ["ENROOT_DATA_PATH", "/", "dataPath", "/"],
  ["ENROOT_LOGIN_SHELL", "", "loginShell", true],
  ["ENROOT_MAX_CONNECTIONS", "0", "maxConnections", 0],
];
for (const [key, value, property, expected] of good) {
  Deno.test(`${key}=${value} is ${expected}`, async () => {
    assertEquals((await load({}, { [key]: value }))[property], expected);
  });
}

const bad: [key: string, value: string, wanted: string][] = [
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "101", "at most 100%"],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "x", "a share"],
  ["ENROOT_TEMPLATE_WARM_SECONDS", "-1", "a whole number of seconds"],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "1.5", "a share"],
  ["ENROOT_TEMPLATE_PRESSURE_THRESHOLD", "80 %", "a share"],
  ["ENROOT_MAX_PROCESSORS", "-1", "a whole number"],
  ["ENROOT_MAX_PROCESSORS", "many", "a whole number"],
  ["ENROOT_CONNECT_TIMEOUT", "1.5", "a whole number"],
  ["ENROOT_MAX_LAYER_SIZE", "8192T", "at most 8191T"],
  ["ENROOT_LOGIN_SHELL", "0", "yes or no"],
  ["ENROOT_LOGIN_SHELL", "offer", "yes or no"],
  ["ENROOT_MAX_CONNECTIONS", "ten", "a whole number"],
  ["ENROOT_STORAGE_BACKEND", "btrfs", "dir or zfs"],
  ["ENROOT_ALLOW_HTTP", "maybe", "yes or no"],
  ["ENROOT_DATA_PATH", "relative", "an absolute path"],
  ["ENROOT_CACHE_MAX_SIZE", "20X", "a number of bytes"],
  ["ENROOT_MAX_INFLATE_RATIO", "0.5", "at least 1"],
  ["ENROOT_LOG_LEVEL", "loud", "debug, info, warning or error"],
];
for (const [key, value, wanted] of bad) {
  Deno.test(`${key}=${value} is refused, naming key, value and place`, async () => {
    const fromEnvironment = await assertRejects(
      () => load({}, { [key]: value }),
      EnrootError,
      wanted,
    );
    for (const part of [key, value, "environment"]) assert(fromEnvironment.message.includes(part));
    const file = { "enroot.conf": `# comment\n\n${key} ${value}\n` };
    const fromFile = await assertRejects(() => load(file), EnrootError, wanted);
    for (const part of [key, value, "enroot.conf:3"]) assert(fromFile.message.includes(part));
  });
}

Deno.test("a line that is none, or of a key of enroot that cannot be, is named", async () => {
  for (const line of ["=x", "ENROOT-X y", "ENROOT_X2 y", "ENROOT_Data_PATH /x"]) {
    const error = await assertRejects(() => load({ "enroot.conf": `\n${line}\n` }), EnrootError);
    assert(error.message.includes("enroot.conf:2"), error.message);
  }
});

Deno.test("a line with the key of another program has no effect, and is told of once", async () => {
  const lines: [line: string, remedy: string][] = [
    ["PATH /evil", "remove it"],
    ["LD_PRELOAD=/x", "remove it"],
    ["HOME /x", "remove it"],
    ["HTTP_PROXY http://me:secret@x", "write http_proxy"],
    ["export ENROOT_CACHE_PATH=/x", "write KEY=VALUE without it"],
    ["NVIDIA_x 1", "remove it"],
  ];
  for (const [line, remedy] of lines) {
    const warnings: string[] = [];
    const text = `ENROOT_DATA_PATH /a\n${line}\nENROOT_TEMP_PATH \${HOME}/t\n`;
    const config = await load({ "enroot.conf": text }, {}, { warn: (each) => warnings.push(each) });
    const { variables } = await load({ "enroot.conf": text.replace(line, "") });
    assertEquals([config.dataPath, config.tempPath], ["/a", "/home/u/t"], line);
    const { ENROOT_SYSCONF_PATH: _, ...rest } = config.variables;
    const { ENROOT_SYSCONF_PATH: __, ...without } = variables;
    assertEquals(rest, without, line);
    const [key] = line.split(/[ =]/);
    const said =
      `enroot.conf:2: '${key}' is no key of enroot, so this line has no effect: ${remedy}`;
    assertEquals(warnings.map((each) => each.slice(each.indexOf("enroot.conf:"))), [said]);
  }
});

Deno.test("a variable that is set to nothing sets nothing, and one that is off hides the files", async () => {
  const files = { "enroot.conf": "ENROOT_DATA_PATH /a\nENROOT_ALLOW_HTTP yes\n" };
  assertEquals((await load(files, { ENROOT_DATA_PATH: "" })).dataPath, "/a");
  assertEquals((await load(files, { ENROOT_SYSCONF_PATH: "" })).sysconfPath, "/etc/enroot");
  const off = await load(files, { ENROOT_DATA_PATH: "no", ENROOT_ALLOW_HTTP: "n" });
  assertEquals([off.dataPath, off.allowHttp], ["/home/u/.local/share/enroot", false]);
  const { tempPath, runtimePath } = await load({}, { ENROOT_TEMP_PATH: "n" }, { uid: 54_321 });
  assertEquals([tempPath, runtimePath], ["/tmp", "/tmp/enroot-54321"]);
});

Deno.test("a file cannot say where the files are", async () => {
  const files = { "enroot.conf": "ENROOT_SYSCONF_PATH /elsewhere\n" };
  const config = await load(files);
  assert(config.sysconfPath !== "/elsewhere");
  assertEquals(config.variables["ENROOT_SYSCONF_PATH"], config.sysconfPath);
});

Deno.test("the code of a setting that the environment overrides is not run", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const files = { "enroot.conf": `ENROOT_DATA_PATH $(touch ${folder}/ran; echo /a)\n` };
    assertEquals((await load(files, { ENROOT_DATA_PATH: "/b" })).dataPath, "/b");
    assertEquals([...Deno.readDirSync(folder)], []);
    assertEquals((await load(files)).dataPath, "/a");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a value that bash cannot expand is named with its file and line", async () => {
  const files = {
    "enroot.conf": "ENROOT_CACHE_PATH $(echo /a)\n",
    "enroot.conf.d/10.conf": "# ours\nENROOT_TEMP_PATH $(exit 3)\n",
  };
  const error = await assertRejects(() => load(files), EnrootError, "cannot be expanded");
  assert(error.message.includes("enroot.conf.d/10.conf:2: ENROOT_TEMP_PATH"), error.message);
});

Deno.test("keys of the bash version that mean nothing here load", async () => {
  const text = "ENROOT_GZIP_PROGRAM pigz\nENROOT_ZSTD_OPTIONS -1\nENROOT_LIBRARY_PATH /usr/lib\n";
  await load({ "enroot.conf": text });
});

Deno.test("hooks get every value as text, those of other programs and defaults too", async () => {
  const { variables, dataPath } = await load({
    "enroot.conf":
      "NVIDIA_VISIBLE_DEVICES all\nhttps_proxy http://p:1\nENROOT_CACHE_MAX_SIZE 20G\n" +
      "ENROOT_OUR_OWN x\nENROOT_NATIVE_OVERLAYFS no\n",
  }, { MELLANOX_VISIBLE_DEVICES: "1", OTHER: "x" });
  const expected = {
    NVIDIA_VISIBLE_DEVICES: "all",
    MELLANOX_VISIBLE_DEVICES: "1",
    https_proxy: "http://p:1",
    ENROOT_CACHE_MAX_SIZE: "20G",
    ENROOT_OUR_OWN: "x",
    ENROOT_DATA_PATH: dataPath,
    ENROOT_LOGIN_SHELL: "yes",
    ENROOT_SQUASH_OPTIONS: "-comp lzo -noD -exit-on-error",
  };
  for (const [key, value] of Object.entries(expected)) assertEquals(variables[key], value, key);
  const absent = ["ENROOT_NATIVE_OVERLAYFS", "ENROOT_ALLOW_HTTP", "ENROOT_TEMPLATE_STORE", "OTHER"];
  for (const key of absent) assertEquals(variables[key], undefined, key);
});

Deno.test("the description shows every key once, in words a file takes, and no password", async () => {
  const described = describeConfig(
    await load({}, {
      ENROOT_TEMPLATE_WARM_SECONDS: "inf",
      ENROOT_ALLOW_HTTP: "y",
      NVIDIA_X: "1",
      https_proxy: "http://me:se@cret@proxy:1",
    }),
  );
  const values = new Map(described);
  assertEquals(values.size, described.length);
  const shown = ["ENROOT_TEMPLATE_WARM_SECONDS", "ENROOT_ALLOW_HTTP", "ENROOT_REMAP_ROOT"]
    .map((key) => values.get(key));
  assertEquals(shown, ["inf", "yes", "no"]);
  assertEquals([values.get("NVIDIA_X"), values.get("https_proxy")], ["1", "http://***@proxy:1"]);
  for (const key of Object.keys(keys)) assert(values.has(key), key);
});

Deno.test("without HOME the user database has it", async () => {
  const line = (await Deno.readTextFile("/etc/passwd")).split("\n")
    .map((each) => each.split(":"))
    .find(([name, , , , , home = "/"]) => name !== "" && home !== "/" && isFolder(home));
  const [, , uid, , , home] = line ?? [];
  for (const HOME of ["", "relative"]) {
    const { cachePath, dataPath } = await load({}, { HOME }, { uid: Number(uid) });
    assertEquals([cachePath, dataPath], [`${home}/.cache/enroot`, `${home}/.local/share/enroot`]);
  }
});

Deno.test("a user whom nobody knows has cache and configuration below the runtime path", async () => {
  const uid = 54_321;
  const own = await load({}, { HOME: "", XDG_RUNTIME_DIR: "/usr" }, { uid });
  assertEquals([own.cachePath, own.configPath], ["/usr/enroot/.cache", "/usr/enroot/.config"]);
  const bare = await load({}, { HOME: "", ENROOT_TEMP_PATH: "/scratch" }, { uid });
  assertEquals([bare.runtimePath, bare.cachePath], [
    "/scratch/enroot-54321",
    "/scratch/enroot-54321/.cache",
  ]);
  const set = await load({}, { HOME: "", ENROOT_RUNTIME_PATH: "/run/job" }, { uid });
  assertEquals([set.runtimePath, set.cachePath, set.dataPath], [
    ...["/run/job", "/run/job/.cache", "/run/job/share"],
  ]);
});

Deno.test("folders of the environment are used when they are absolute paths", async () => {
  const names = ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TMPDIR"];
  const paths = ({ configPath, cachePath, dataPath, runtimePath, tempPath }: Config): string[] => [
    ...[configPath, cachePath, dataPath, runtimePath, tempPath],
  ];
  const there = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${there}/XDG_RUNTIME_DIR`);
    const absolute = Object.fromEntries(names.map((name) => [name, `${there}//${name}/`]));
    assertEquals(
      paths(await load({}, absolute)),
      names.map((name) => name === "TMPDIR" ? `${there}/TMPDIR` : `${there}/${name}/enroot`),
    );
  } finally {
    await Deno.remove(there, { recursive: true });
  }
  const relative = Object.fromEntries(names.map((name) => [name, name]));
  const without = await load({}, {}, { uid: 54_321 });
  assertEquals(paths(await load({}, relative, { uid: 54_321 })), paths(without));
});

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
