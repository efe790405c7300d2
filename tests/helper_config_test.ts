import { assertEquals } from "@std/assert";
import { parseConfFile } from "../lib/config/conf_file.ts";
import { expandSettings } from "../lib/config/expand.ts";
import { tidyPath } from "../lib/config/values.ts";
import { attempt, type Result, run } from "./support/command.ts";

const top = new URL("../", import.meta.url).pathname;
const uid = 12345;
const key = "ENROOT_DATA_PATH";
// Another user's folders and files are what this is about.
const ignore = Deno.uid() !== 0;

/** The programs that are tried: as it is shipped, and with sanitizers. */
const builds: Record<string, string> = {
  "as it is shipped": "helper/build",
  "with sanitizers": "helper/build/sanitize",
};

/** A file of the configuration: its text, or how it is otherwise put there. */
type File = string | ((path: string) => Promise<void>);

/** An `/etc` of the test's own, which the helper finds as the system's. */
class Etc implements AsyncDisposable {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  static async make(): Promise<Etc> {
    await run(["make", "-s", "-C", `${top}helper`, "all", "sanitize"]);
    const etc = new Etc(await Deno.makeTempDir({ prefix: "zenroot-etc-" }));
    await Deno.chmod(etc.#root, 0o755);
    await Deno.mkdir(`${etc.#root}/bin`);
    for (const [name, folder] of Object.entries(builds)) {
      await Deno.copyFile(`${top}${folder}/enroot-zfs-mount`, `${etc.#root}/bin/${name}`);
    }
    return etc;
  }

  /** Run a build of the helper as a user, with these files in `/etc`. */
  async helper(
    files: Readonly<Record<string, File>>,
    args: readonly string[] = ["tank/x"],
    { build = "as it is shipped", as = uid }: { build?: string; as?: number } = {},
  ): Promise<Result> {
    const etc = `${this.#root}/etc`;
    await Deno.mkdir(etc);
    await Deno.chmod(etc, 0o755);
    for (const [name, file] of Object.entries(files)) {
      const path = `${etc}/${name}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if (typeof file === "string") await Deno.writeTextFile(path, file);
      else await file(path);
    }
    try {
      return await attempt(
        [
          ...["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', etc],
          ...["setpriv", "--reuid", `${as}`, "--regid", `${as}`, "--clear-groups"],
          ...[`${this.#root}/bin/${build}`, ...args],
        ],
        // Finding leaks takes ptrace(2), which the program does not let anybody have.
        {
          clearEnv: true,
          env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ASAN_OPTIONS: "detect_leaks=0" },
        },
      );
    } finally {
      await Deno.remove(etc, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#root, { recursive: true });
  }
}

const conf = "enroot/enroot.conf";

/** What the helper says when it understood the path: there is no such folder. */
function notThere(path: string, origin = `/etc/${conf}:1`): Result {
  const said = path.includes("${USER}")
    ? `no dataset is mounted at a path ${path} (${origin}) whose \${USER} is a folder of yours: ` +
      "the store is the dataset mounted there"
    : `cannot open ${path} (${origin}): No such file or directory`;
  return refusal(said);
}

function refusal(text: string): Result {
  return { code: 1, signal: null, stdout: "", stderr: `enroot-zfs-mount: ${text}\n` };
}

const readable: readonly (readonly [line: string, path: string])[] = [
  [`${key} /none/x`, "/none/x"],
  [`${key}=/none/x`, "/none/x"],
  [`  ${key}\t=\t/none/x \r`, "/none/x"],
  [`${key} /none//x///`, "/none/x"],
  [`${key} "/none/x y" # a comment`, "/none/x y"],
  [`${key} "/none/x"y`, ""],
  [`${key} "/none/x" # "a comment"`, "/none/x"],
  [`${key} '/none/x' # a comment`, "/none/x"],
  [`${key} /none/x # a comment`, "/none/x"],
  [`${key} /none/x#y`, "/none/x#y"],
  [`${key} /none/é`, "/none/é"],
  [`${key} /none/\${UID}`, `/none/${uid}`],
  [`${key} "/none/\${UID}/x-\${UID}"`, `/none/${uid}/x-${uid}`],
  [`${key} /none/\${USER}`, "/none/${USER}"],
  [`${key} /none/\${UID}/\${USER}/x`, `/none/${uid}/\${USER}/x`],
];

for (const build of Object.keys(builds)) {
  Deno.test({
    name: `the mount helper ${build} reads what the program reads`,
    ignore,
    fn: async () => {
      await using etc = await Etc.make();
      for (const [line, path] of readable) {
        const [setting] = await expandSettings(
          parseConfFile(line, "file"),
          { USER: "${USER}" },
          uid,
        ).catch(() => []);
        // Quotes that bash would take for its own are no part of a path here.
        if (path === "") {
          assertEquals((await etc.helper({ [conf]: line }, ["tank/x"], { build })).code, 1, line);
          continue;
        }
        assertEquals(tidyPath(setting?.value ?? ""), path, line);
        const result = await etc.helper({ [conf]: line }, ["tank/x"], { build });
        assertEquals(result, notThere(path), line);
      }
      // bash would answer for the user that runs this test.
      for (
        const [line, path] of [
          [`${key} /none/$(id -u)`, `/none/${uid}`],
          [`${key} /none/$(id -un)/x`, "/none/${USER}/x"],
        ] as const
      ) {
        const result = await etc.helper({ [conf]: line }, ["tank/x"], { build });
        assertEquals(result, notThere(path), line);
      }
    },
  });

  Deno.test({
    name: `the mount helper ${build} refuses what it cannot be sure of, and quotes the line`,
    ignore,
    fn: async () => {
      await using etc = await Etc.make();
      const understood = "only ${UID}, $(id -u), ${USER} and $(id -un) are understood in this path";
      const own = "${USER} or $(id -un) must be a part of the path of its own, and the only one";
      const dots = "no part of the path may be '.' or '..'";
      const refused: readonly (readonly [value: string, rule: string])[] = [
        ["/none/$HOME", understood],
        ["/none/$UID", understood],
        ["/none/${UID:-0}", understood],
        ["/none/$(id  -u)", understood],
        ["/none/$(rm -rf /)", understood],
        ["/none/`id -u`", understood],
        ["/none/*", understood],
        ["/none/?", understood],
        ["/none/[a]", understood],
        ["/none/{a,b}", understood],
        ["/none/\\x", understood],
        ["/none/x'y", understood],
        ["'/none/${UID}'", understood],
        ["/none/x-${USER}", own],
        ["/none/${USER}x", own],
        ["/none/${USER}/${USER}", own],
        ["/none/../x", dots],
        ["/none/./x", dots],
        ["/none/..", dots],
        ["none", "it must be an absolute path"],
        ["${UID}", "it must be an absolute path"],
        ["~/x", "it must be an absolute path"],
        ["//", "the store cannot be mounted at /"],
        [`/${"x".repeat(5000)}`, "the path is too long"],
        [`/${"${UID}".repeat(4095 / 5)}/x`, "the path is too long"],
      ];
      for (const [value, rule] of refused) {
        const result = await etc.helper({ [conf]: `#\n ${key} ${value}` }, ["tank/x"], { build });
        const line = `${key} ${value}`;
        assertEquals(result, refusal(`/etc/${conf}:2: '${line}': ${rule}`));
      }
      for (const line of ["=x", "1A b", "A-B c", `${key}:/none/x`, "\u00a0A b"]) {
        const result = await etc.helper({ [conf]: line }, ["tank/x"], { build });
        assertEquals(result, refusal(`/etc/${conf}:1: '${line}' is no KEY VALUE line`));
      }
      const store = "ENROOT_TEMPLATE_STORE";
      for (
        const value of ["/tank/x", "tank//x", "tank/x/", "tank/${UID}", "tank@x", "$(id)", "-x"]
      ) {
        const text = `${key} /none/x\n${store} ${value}`;
        const rule = "it must be the name of a dataset, as it is";
        const result = await etc.helper({ [conf]: text }, ["tank/x"], { build });
        assertEquals(result, refusal(`/etc/${conf}:2: '${store} ${value}': ${rule}`));
      }
      for (const value of ["tank", "tank/a-b_c.d:e", "'tank/x'", '"tank/x y" # y', "no", "n", ""]) {
        const text = `${store} a/b/\n${key} /none/x\n${store} ${value}`;
        const result = await etc.helper({ [conf]: text }, ["tank/x"], { build });
        assertEquals(result, notThere("/none/x", `/etc/${conf}:2`), value);
      }
      const zero = await etc.helper({ [conf]: `${key} /none/x\0` }, ["tank/x"], { build });
      assertEquals(zero, refusal(`/etc/${conf}:1: the line holds a NUL`));
    },
  });
}

Deno.test({
  name: "the mount helper takes the last assignment of all files, in the order of their names",
  ignore,
  fn: async () => {
    await using etc = await Etc.make();
    const line = (path: string): string => `${key} ${path}\n`;
    const folder = "enroot/enroot.conf.d";
    const cases: [Record<string, string>, string, string][] = [
      [{ [conf]: line("/none/1") + line("/none/2") }, "/none/2", `/etc/${conf}:2`],
      [
        { [conf]: line("/none/1"), [`${folder}/b.conf`]: line("/none/b") },
        "/none/b",
        `/etc/${folder}/b.conf:1`,
      ],
      [
        {
          [`${folder}/b.conf`]: line("/none/b"),
          [`${folder}/a.conf`]: line("/none/a"),
          [`${folder}/Z.conf`]: line("/none/Z"),
          [`${folder}/c.conf.bak`]: line("/none/c"),
        },
        "/none/b",
        `/etc/${folder}/b.conf:1`,
      ],
      // What was overridden need not be understood, as the program does not use it either.
      [{ [conf]: line("/none/$HOME") + line("/none/2") }, "/none/2", `/etc/${conf}:2`],
    ];
    for (const [files, path, origin] of cases) {
      assertEquals(await etc.helper(files), notThere(path, origin));
    }
  },
});

Deno.test({
  name: "the mount helper says which line to write when there is none",
  ignore,
  fn: async () => {
    await using etc = await Etc.make();
    const unset = refusal(
      `${key} is not set in /etc/enroot/enroot.conf: as root, put the line ` +
        `'${key} /var/lib/enroot/\${UID}' there, or wherever the stores are mounted`,
    );
    const all: Record<string, File>[] = [
      {},
      { [conf]: "" },
      { [conf]: `# ${key} /none/x\n` },
      { [conf]: `${key}_X /none/x` },
      { [conf]: `${key} /none/x\n${key}=\n` },
      { [conf]: `${key} /none/x\n${key} no\n` },
      { "enroot/enroot.conf.d/a": `${key} /none/x` },
    ];
    for (const files of all) assertEquals(await etc.helper(files), unset);
    const result = await etc.helper({}, ["tank/x"], { build: "with sanitizers" });
    assertEquals(result, unset);
  },
});

Deno.test({
  name: "the mount helper reads no configuration that others than root could have written",
  ignore,
  fn: async () => {
    await using etc = await Etc.make();
    const text = `${key} /none/x\n`;
    const write = (change: (path: string) => Promise<unknown>): File => async (path) => {
      await Deno.writeTextFile(path, text);
      await change(path);
    };
    const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
    const dropIn = "enroot/enroot.conf.d/a.conf";
    const foreign = `belongs to uid ${uid}: the configuration must be root's`;
    const open = (path: string): string =>
      `${path} can be written by others than root: as root: chmod go-w ${path}`;
    const link = "is a symbolic link: the configuration is read without following any";
    const cases: [Record<string, File>, string][] = [];
    for (const name of [conf, dropIn]) {
      const path = `/etc/${name}`;
      const folder = folderOf(path);
      cases.push(
        [{ [name]: write((file) => Deno.chown(file, uid, 0)) }, `${path} ${foreign}`],
        [{ [name]: write((file) => Deno.chmod(file, 0o664)) }, open(path)],
        [{ [name]: write((file) => Deno.chmod(file, 0o646)) }, open(path)],
        [{ [name]: write((file) => Deno.chown(folderOf(file), uid, 0)) }, `${folder} ${foreign}`],
        [{ [name]: write((file) => Deno.chmod(folderOf(file), 0o775)) }, open(folder)],
        [{ [name]: write((file) => Deno.chmod(folderOf(file), 0o1777)) }, open(folder)],
        [
          { other: text, [name]: (file) => Deno.symlink("/etc/other", file) },
          `${path} ${link}`,
        ],
        [{ [name]: (file) => Deno.mkdir(file) }, `${path} is no regular file`],
        [
          { [name]: async (file) => void await run(["mkfifo", file]) },
          `${path} is no regular file`,
        ],
        [
          { [name]: write((file) => Deno.chmod(file, 0o600)) },
          `cannot read ${path}: Permission denied`,
        ],
      );
    }
    cases.push(
      [
        {
          "other/enroot.conf": text,
          enroot: (path) => Deno.symlink("/etc/other", path),
        },
        `/etc/enroot ${link}`,
      ],
      [{ [conf]: write((file) => Deno.chmod(folderOf(folderOf(file)), 0o777)) }, open("/etc")],
      // A file that says nothing of the store could be made to.
      [
        { [conf]: text, [dropIn]: write((file) => Deno.chmod(file, 0o666)) },
        open(`/etc/${dropIn}`),
      ],
    );
    for (const [files, rule] of cases) {
      for (const build of Object.keys(builds)) {
        assertEquals(await etc.helper(files, ["tank/x"], { build }), refusal(rule));
      }
    }
  },
});

Deno.test({
  name: "the mount helper has a usage, and is of no use in a user namespace",
  ignore,
  fn: async () => {
    await using etc = await Etc.make();
    const usage = refusal("usage: enroot-zfs-mount [--unmount] DATASET");
    const wrong = [[], [""], ["--unmount"], ["-h"], ["a", "b"], ["--unmount", "-a"], [
      "a",
      "b",
      "c",
    ]];
    for (const args of wrong) {
      for (const build of Object.keys(builds)) {
        assertEquals(await etc.helper({}, args, { build }), usage, args.join(" "));
      }
    }
    const inside = ["unshare", "-Urm", `${top}helper/build/enroot-zfs-mount`, "tank/x"];
    const { code, stderr } = await attempt(inside);
    assertEquals({ code, stderr }, {
      code: 1,
      stderr:
        "enroot-zfs-mount: this is inside a user namespace, where no dataset can be mounted: " +
        "run it outside\n",
    });
  },
});

Deno.test({
  name: "the mount helper with a set-id bit in place of its capability does nothing",
  ignore,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.chmod(folder, 0o755);
      const program = `${folder}/enroot-zfs-mount`;
      await Deno.copyFile(`${top}helper/build/enroot-zfs-mount`, program);
      for (const mode of [0o4755, 0o2755]) {
        await Deno.chmod(program, mode);
        const user = ["setpriv", "--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups"];
        const { code, stderr } = await attempt([...user, program, "tank/x"]);
        assertEquals({ code, stderr }, {
          code: 1,
          stderr: "enroot-zfs-mount: the real and effective ids differ: " +
            "this program needs a capability, not a set-id bit\n",
        });
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
