import { assert, assertEquals } from "@std/assert";

interface Module {
  specifier: string;
  dependencies?: {
    specifier: string;
    code?: { specifier?: string };
    type?: { specifier?: string };
  }[];
}

const top = new URL("../", import.meta.url);

/** The table of docs/architecture.md: what each room may import. */
async function rules(): Promise<Map<string, Set<string>>> {
  const text = await Deno.readTextFile(new URL("docs/architecture.md", top));
  const section = text.split("## Rooms")[1]?.split("\n## ")[0] ?? "";
  const rows = [...section.matchAll(/^\| `([^`]+)` *\|[^|]*\| *([^|]*?) *\|$/gm)];
  return new Map(
    rows.map(([, room = "", list = ""]) => [
      room.replace(/^lib\//, ""),
      new Set(list.split(", ").filter((name) => name !== "")),
    ]),
  );
}

/** The room that a file of the project is in. */
function roomOf(specifier: string): string | undefined {
  if (!specifier.startsWith(top.href)) return undefined;
  const path = specifier.slice(top.href.length);
  if (path.startsWith("lib/")) return path.split("/")[1]?.replace(/\.ts$/, "");
  return path.split("/")[0];
}

async function sources(): Promise<string[]> {
  const found: string[] = [];
  async function walk(folder: URL): Promise<void> {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.isDirectory) await walk(new URL(`${entry.name}/`, folder));
      else if (/(?<!_test)(?<!\.d)\.ts$/.test(entry.name)) {
        found.push(new URL(entry.name, folder).href);
      }
    }
  }
  await walk(new URL("lib/", top));
  await walk(new URL("workers/", top));
  return [...found, new URL("main.ts", top).href];
}

async function modules(): Promise<Module[]> {
  const files = await sources();
  // One graph over all files: `deno info` takes one root, so an eval module imports the rest.
  const root = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(root, files.map((file) => `import "${file}";`).join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", new URL("deno.json", top).pathname, root],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout)).modules;
  } finally {
    await Deno.remove(root);
  }
}

Deno.test("no room imports a room that the table of docs/architecture.md does not allow", async () => {
  const allowed = await rules();
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const module of await modules()) {
    const room = roomOf(module.specifier);
    if (room === undefined || room === "deno.json" || room === "std" || room === "errors") continue;
    seen.add(room);
    const may = allowed.get(room);
    if (may === undefined) {
      wrong.push(`${module.specifier.slice(top.href.length)}: room '${room}' is not in the table`);
      continue;
    }
    for (const dependency of module.dependencies ?? []) {
      const target = dependency.code?.specifier ?? dependency.type?.specifier ?? "";
      const other = roomOf(target);
      if (other === undefined || other === room) continue;
      if (["errors", "std", "deno.json"].includes(other) || may.has(other)) continue;
      wrong.push(
        `${module.specifier.slice(top.href.length)} imports ${target.slice(top.href.length)}`,
      );
    }
  }
  assertEquals(wrong, []);
  for (const room of allowed.keys()) assert(seen.has(room), `nothing was checked in '${room}'`);
});

Deno.test("the top level holds what it is said to hold, and nothing else", async () => {
  const fixed = [
    ...["deno.json", "deno.lock", "main.ts", "lib", "workers", "helper", "tests", "docs"],
    ...["packaging", "README.md", "LICENSE", "CONTRIBUTING.md", ".ci", ".gitignore"],
  ];
  const { stdout, success } = await new Deno.Command("git", {
    // The checkout may be another user's, which git would not look into by itself.
    args: [
      ...["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
    ],
    cwd: top,
  }).output();
  assert(success);
  const names = new TextDecoder().decode(stdout).trim().split("\n").map((path) =>
    path.split("/")[0] ?? ""
  );
  assert(names.length > 10);
  assertEquals([...new Set(names)].filter((name) => !fixed.includes(name)), []);
});

Deno.test("no source file is longer than 400 lines", async () => {
  const long: string[] = [];
  for (const file of await sources()) {
    const lines = (await Deno.readTextFile(new URL(file))).split("\n").length - 1;
    if (lines > 400) long.push(`${file.slice(top.href.length)}: ${lines}`);
  }
  assertEquals(long, []);
});
