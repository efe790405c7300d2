import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { type Config, loadConfig } from "./config.ts";

/** Load from files given by name, with an environment of nothing but what is given. */
async function load(
  files: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
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
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("with nothing set, everything has its default", async () => {
  const config = await load({}, { XDG_RUNTIME_DIR: "/run/user/7" });
  assertEquals(
    [config.runtimePath, config.configPath, config.cachePath, config.dataPath, config.tempPath],
    [
      "/run/user/7/enroot",
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
  assert(Object.isFrozen(config) && Object.isFrozen(config.variables));
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
  ["/x/${NONE}/y", "/x/y"],
  ["/x/${NONE:-z}", "/x/z"],
  ["/x/$(echo a b)", "/x/a b"],
  ["/x/`echo c`", "/x/c"],
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
  ["ENROOT_DATA_PATH", "/a//b/", "dataPath", "/a/b"],
  ["ENROOT_SQUASH_OPTIONS", "-comp  zstd", "squashOptions", ["-comp", "zstd"]],
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
  ["ENROOT_MAX_PROCESSORS", "0", "above zero"],
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

Deno.test("a line that is none, or of a key that is not allowed, is named", async () => {
  for (const line of ["PATH /evil", "LD_PRELOAD=/x", "=x", "ENROOT-X y", "HOME /x"]) {
    const error = await assertRejects(() => load({ "enroot.conf": `\n${line}\n` }), EnrootError);
    assert(error.message.includes("enroot.conf:2"), error.message);
  }
});

Deno.test("a value that bash cannot expand is named with its line", async () => {
  for (const value of ["$(exit 3)", "$(", "${x y}", "`nonexistent-program-x`"]) {
    const files = { "enroot.conf": `ENROOT_CACHE_PATH $(echo /a)\nENROOT_TEMP_PATH ${value}\n` };
    const error = await assertRejects(() => load(files), EnrootError, "cannot be expanded");
    assert(error.message.includes("enroot.conf:2: ENROOT_TEMP_PATH"), error.message);
  }
});

Deno.test("keys of the bash version that mean nothing here load", async () => {
  const text = "ENROOT_GZIP_PROGRAM pigz\nENROOT_ZSTD_OPTIONS -1\nENROOT_LIBRARY_PATH /usr/lib\n";
  await load({ "enroot.conf": text });
});

Deno.test("keys of other programs are kept for hooks", async () => {
  const config = await load({
    "enroot.conf": "NVIDIA_VISIBLE_DEVICES all\nhttps_proxy http://p:1\n",
  });
  assertEquals(config.variables["NVIDIA_VISIBLE_DEVICES"], "all");
  assertEquals(config.variables["https_proxy"], "http://p:1");
});

Deno.test("without HOME the user database has it, and without that the runtime path does", async () => {
  const line = (await Deno.readTextFile("/etc/passwd")).split("\n")
    .find((each) => each.split(":")[2] === String(Deno.uid()));
  const config = await load({}, { HOME: "", XDG_RUNTIME_DIR: "/run/user/7" });
  const home = line?.split(":")[5];
  assertEquals(
    config.cachePath,
    home === undefined ? "/run/user/7/enroot/.cache" : `${home}/.cache/enroot`,
  );
});
