import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { type Config, loadConfig } from "./config.ts";
import { expandSettings } from "./expand.ts";

const uid = 54_321;

/** What a value of `ENROOT_CACHE_PATH` becomes, by itself and beside one that only bash can expand. */
async function expandedBoth(
  value: string,
  environment: Readonly<Record<string, string>>,
): Promise<string[]> {
  const setting = { key: "ENROOT_CACHE_PATH", value, literal: false, place: "file:1" };
  const command = { ...setting, key: "ENROOT_OTHER", value: "$(echo x)" };
  const all = { PATH: "/usr/bin:/bin", ...environment };
  const [alone] = await expandSettings([setting], all, uid);
  const [beside] = await expandSettings([setting, command], all, uid);
  return [alone?.value ?? "", beside?.value ?? ""];
}

const table: [value: string, environment: Record<string, string>, expected: string][] = [
  ["${XDG_DATA_HOME}/e", { HOME: "/h" }, "/h/.local/share/e"],
  ["$XDG_CONFIG_HOME/e", { HOME: "/h" }, "/h/.config/e"],
  ["${XDG_CACHE_HOME}/e", { HOME: "/h", XDG_CACHE_HOME: "" }, "/h/.cache/e"],
  ["${XDG_CACHE_HOME}/e", { HOME: "/h", XDG_CACHE_HOME: "relative" }, "/h/.cache/e"],
  ["${XDG_CACHE_HOME}/e", { HOME: "/h", XDG_CACHE_HOME: "/c" }, "/c/e"],
  ["${XDG_RUNTIME_DIR}/e", { HOME: "/h" }, "/run/e"],
  ["${XDG_RUNTIME_DIR}/e", { HOME: "/h", XDG_RUNTIME_DIR: "/usr" }, "/usr/e"],
  ["${XDG_RUNTIME_DIR}/e", { HOME: "/h", XDG_RUNTIME_DIR: "/nonexistent" }, "/run/e"],
  // What the administrator wrote for the case counts, not the default.
  ["${XDG_RUNTIME_DIR:-/o}/e", { HOME: "/h" }, "/o/e"],
  ["${XDG_RUNTIME_DIR:-/o}/e", { HOME: "/h", XDG_RUNTIME_DIR: "/nonexistent" }, "/o/e"],
  ["${XDG_DATA_HOME-/o}/e", { HOME: "/h" }, "/o/e"],
  ["${NONE:-${XDG_DATA_HOME}}/e", { HOME: "/h" }, "/h/.local/share/e"],
  ["$(echo ${XDG_DATA_HOME})/e", { HOME: "/h" }, "/h/.local/share/e"],
  ["/x/\\$HOME", {}, "/x/$HOME"],
  [
    "${XDG_DATA_HOME}/e",
    { HOME: "/h/a $(b) `c` \\ \"d\" 'e' {f}" },
    "/h/a $(b) `c` \\ \"d\" 'e' {f}/.local/share/e",
  ],
  ["~/e", { HOME: "/h/'a' $b" }, "/h/'a' $b/e"],
  // Nobody has this user ID, so there is no home: what is always his has to do.
  ["${XDG_CACHE_HOME}/e", { ENROOT_RUNTIME_PATH: "/r" }, "/r/.cache/e"],
  ["${XDG_DATA_HOME}/e", { ENROOT_TEMP_PATH: "/t" }, `/t/enroot-${uid}/share/e`],
  ["${XDG_DATA_HOME}/e", { TMPDIR: "/t", XDG_RUNTIME_DIR: "/usr" }, "/usr/enroot/share/e"],
];
for (const [value, environment, expected] of table) {
  Deno.test(`${value} is ${expected} with ${JSON.stringify(environment)}`, async () => {
    assertEquals(await expandedBoth(value, environment), [expected, expected]);
  });
}

Deno.test("HOME is that of the user database, and missed where there is none", async () => {
  const root = { key: "ENROOT_DATA_PATH", literal: false, place: "file:1" };
  for (const value of ["$HOME/x", "~/x", "${HOME}/$(echo x)"]) {
    const [setting] = await expandSettings([{ ...root, value }], { PATH: "/usr/bin:/bin" }, 0);
    assertEquals(setting?.value, "/root/x");
    await assertRejects(() => expandedBoth(value, {}), EnrootError, "HOME is not set");
  }
});

Deno.test("the lines that enroot's own file has mean the defaults", async () => {
  const names = ["CONFIG", "CACHE", "DATA", "RUNTIME"];
  const base = (name: string): string =>
    name === "RUNTIME" ? "XDG_RUNTIME_DIR" : `XDG_${name}_HOME`;
  const text = (form: (name: string) => string): string =>
    names.map((name) => `ENROOT_${name}_PATH ${form(base(name))}/enroot\n`).join("");
  const files = [
    text((name) => `\${${name}}`),
    text((name) => `$${name}`),
    text((name) => `\${${name}}`) + "ENROOT_MAX_PROCESSORS $(echo 3)\n",
    "ENROOT_RUNTIME_PATH ${XDG_RUNTIME_DIR:-/run}/enroot\n",
  ];
  const environments: Record<string, string>[] = [
    { HOME: "/h" },
    { HOME: "/h", TMPDIR: "/t", XDG_RUNTIME_DIR: "/nonexistent" },
    { HOME: "/h", ENROOT_TEMP_PATH: "/t", XDG_RUNTIME_DIR: "relative" },
    { HOME: "/h", XDG_RUNTIME_DIR: "/usr", XDG_DATA_HOME: "/d" },
  ];
  const folder = await Deno.makeTempDir();
  try {
    for (const user of [uid, 0]) {
      for (const more of environments) {
        const environment = { PATH: "/usr/bin:/bin", ENROOT_SYSCONF_PATH: folder, ...more };
        await Deno.writeTextFile(`${folder}/enroot.conf`, "");
        const expected = paths(await loadConfig({ environment, uid: user }));
        for (const file of files) {
          await Deno.writeTextFile(`${folder}/enroot.conf`, file);
          assertEquals(paths(await loadConfig({ environment, uid: user })), expected, file);
        }
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a runtime folder of another host is as none, unless a runtime path is set", async () => {
  const environment = { HOME: "/h", TMPDIR: "/t", XDG_RUNTIME_DIR: "/nonexistent/7" };
  const sysconf = { ENROOT_SYSCONF_PATH: "/nonexistent" };
  const of = async (more: Record<string, string> = {}): Promise<string> =>
    (await loadConfig({ environment: { ...environment, ...sysconf, ...more }, uid })).runtimePath;
  assertEquals(await of(), `/t/enroot-${uid}`);
  assertEquals(await of({ XDG_RUNTIME_DIR: "/etc/passwd" }), `/t/enroot-${uid}`);
  assertEquals(await of({ XDG_RUNTIME_DIR: "/usr" }), "/usr/enroot");
  const set = "/nonexistent/7/enroot";
  assertEquals(await of({ ENROOT_RUNTIME_PATH: set }), set);
  assertEquals(await of({ ENROOT_RUNTIME_PATH: "/run/enroot" }), "/run/enroot");
});

function paths({ configPath, cachePath, dataPath, runtimePath }: Config): string[] {
  return [configPath, cachePath, dataPath, runtimePath];
}
