import { assert, assertEquals } from "@std/assert";
import { type Command, type Context } from "../lib/commands/command.ts";
import { commands } from "../lib/commands/dispatch.ts";
import { command as mount } from "../lib/commands/mount.ts";
import { bundleUsage } from "../lib/commands/run_bundle.ts";
import { Terminal } from "../lib/commands/terminal.ts";
import { ignoredKeys, keys } from "../lib/config/keys.ts";
import { rootfsFiles } from "../lib/import/rootfs_files.ts";
import { parsePointer } from "../lib/storage/pointer.ts";
import { helpOption, parseUsage, type Usage, type UsageOption } from "../packaging/usage.ts";
import { executable } from "./support/bed.ts";
import { run } from "./support/command.ts";
import {
  anchorsOf,
  codeOf,
  type Document,
  documents,
  linksOf,
  sectionOf,
} from "./support/documents.ts";

const top = new URL("../", import.meta.url);
const pages = await documents();
const prefix = "docs/commands/";
const overview = pageAt(`${prefix}enroot.md`);

/** What the executable says of its commands: their summaries and their helps. */
const list = await run([executable, "help"]);
const summaries = new Map(
  [...list.matchAll(/^ {2}(\S+) {2,}(.*)$/gm)].map(([, name = "", summary = ""]) =>
    [name, summary] as const
  ),
);
const usages = new Map<string, Usage>();
for (const name of summaries.keys()) {
  const help = await run([executable, name, "--help"]);
  usages.set(name, parseUsage(help.replace(/^Usage: enroot /, "")));
}

function pageAt(path: string): Document {
  const page = pages.find((each) => each.path === path);
  if (page === undefined) throw new Error(`there is no ${path}`);
  return page;
}

function usageOf(name: string): Usage {
  const usage = usages.get(name);
  if (usage === undefined) throw new Error(`the program has no '${name}'`);
  return usage;
}

Deno.test("every command has a page, and every page a command", () => {
  const visible = Object.entries(commands).filter(([, { summary }]) => summary !== undefined);
  assertEquals(
    [...usages.keys()],
    visible.map(([name]) => name),
    "the executable is not of this source",
  );
  const named = pages.filter(({ path }) => path.startsWith(prefix) && path !== overview.path)
    .map(({ path }) => path.slice(prefix.length, -".md".length));
  assertEquals(named.toSorted(), [...usages.keys()].toSorted());
});

Deno.test("docs/commands/enroot.md has the commands and their summaries as the program lists them", () => {
  const [table] = sectionOf(overview, "Commands");
  assert(table?.kind === "table");
  assertEquals(
    table.rows,
    [...summaries].map(([name, summary]) => [`[\`${name}\`](${name}.md)`, summary]),
  );
});

Deno.test("the options before a command are those of the program", async () => {
  const shown = tableOptions(overview).map(({ short, long }) => [short, long]);
  assertEquals(shown, [["-q", "--quiet"], ["-v", "--verbose"], ["-h", "--help"]]);
  assert(list.startsWith("Usage: enroot [-q|--quiet] [-v|--verbose] COMMAND "));
  for (const words of shown) {
    for (const word of words) await run([executable, word ?? "", "version"]);
  }
});

for (const [name, { synopsis, options }] of usages) {
  Deno.test(`the page of ${name} has its sections, its synopsis and its options`, () => {
    const page = pageAt(`${prefix}${name}.md`);
    const [title, usage] = page.blocks;
    assertEquals(title, { kind: "heading", level: 1, text: `enroot ${name}` });
    assertEquals(usage, { kind: "code", lines: [`enroot ${synopsis}`] });
    for (const section of ["Configuration", "Examples", "Exit codes"]) {
      assert(sectionOf(page, section).length > 0, `${page.path} lacks '${section}'`);
    }
    const shown = tableOptions(page).map(({ short, long, value }) => [short, long, value]);
    const listed = options.map(({ short, long, value, choices }, index) => {
      // A page may give a value its name, or list the choices.
      const isListed = choices.length > 0 && shown[index]?.[2] === choices.join("|");
      return [short, long, isListed ? choices.join("|") : value];
    });
    assertEquals(shown, listed);
  });
}

/** The options in a page's first table of them, as its first column writes them: `-o`, `--output FILE`. */
function tableOptions(page: Document): UsageOption[] {
  const table = sectionOf(page, "").find((block) =>
    block.kind === "table" && block.head[0] === "option"
  );
  if (table?.kind !== "table") return [];
  return table.rows.map(([cell = "", about = ""]) => {
    const words = cell.replaceAll(/[`,]/g, "").split(" ");
    const short = words.find((word) => /^-\w$/.test(word));
    const long = words.find((word) => word.startsWith("--"));
    const value = words.find((word) => !word.startsWith("-"));
    return {
      ...(short === undefined ? {} : { short }),
      ...(long === undefined ? {} : { long }),
      ...(value === undefined ? {} : { value }),
      ...{ choices: [], repeats: false, about },
    };
  });
}

Deno.test("the program takes the options that it lists, with their values, and no other", async () => {
  const words = await optionWords();
  assert(words.length > 500);
  for (const [name, { load }] of Object.entries(commands)) {
    if (name === "version" || name === "help" || !usages.has(name)) continue;
    const command = await load();
    const taken: string[] = [];
    for (const word of words) {
      const kind = await takes(command, word);
      if (kind !== undefined) taken.push(kind === "flag" ? word : `${word} VALUE`);
    }
    const listed = usageOf(name).options.flatMap(({ short, long, value }) =>
      [short, long].filter((each) => each !== undefined)
        .map((each) => value === undefined ? each : `${each} VALUE`)
    );
    const all = [...listed, ...betweenHosts[name] ?? []];
    assertEquals(taken.toSorted(), all.toSorted(), `options of ${name}`);
  }
});

/** What one enroot calls another one with, on another host: for programs, and in no help. */
const betweenHosts: Readonly<Record<string, readonly string[]>> = {
  import: ["--zfs-recv", "--force", "--protocol VALUE", "-n VALUE", "--name VALUE"],
  export: ["--zfs-send", "--protocol VALUE"],
};

function optionOf(form: string): UsageOption {
  const [word = "", value] = form.split(" ");
  return {
    ...(word.startsWith("--") ? { long: word } : { short: word }),
    ...(value === undefined ? {} : { value }),
    ...{ choices: [], repeats: false, about: "" },
  };
}

/** Every word of the commands' sources as an option: those that they take must be among them. */
async function optionWords(): Promise<string[]> {
  const found = new Set([..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]);
  for await (const { name } of Deno.readDir(new URL("lib/commands", top))) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const text = await Deno.readTextFile(new URL(`lib/commands/${name}`, top));
    for (const [word] of text.matchAll(/[a-z][a-z0-9]+(?:-[a-z0-9]+)*/g)) found.add(word);
  }
  return [...found].map((word) => word.length === 1 ? `-${word}` : `--${word}`);
}

/**
 * Whether a command takes an option, with a value or without. Options that no command has keep it from
 * doing anything: they are read before all else. An option with a value takes the first of them for it.
 */
async function takes(command: Command, word: string): Promise<"flag" | "value" | undefined> {
  const terminal = new Terminal({
    ...{ write: () => {}, interactive: false, colour: false, columns: () => 80, level: "error" },
  });
  const none = ["--no-command-has-this", "--nor-this"];
  const context: Context = { args: [word, ...none], terminal, print: () => {}, environment: {} };
  const run = async (): Promise<string> => `exit code ${await command.run(context)}`;
  const complaint = await run().catch((error) => String(error.message));
  const [, unknown = ""] = /^unknown option '(.*)'$/.exec(complaint) ?? [];
  switch (unknown) {
    case word:
      return undefined;
    case none[0]:
      return "flag";
    case none[1]:
      return "value";
    default:
      throw new Error(`${context.args.join(" ")} was not refused: ${complaint}`);
  }
}

Deno.test("what the pages show of calls exists: commands and their options", () => {
  let calls = 0;
  const wrong: string[] = [];
  for (const page of pages) {
    for (const code of codeOf(page)) {
      for (const [call, name = "", rest = ""] of code.matchAll(callOfEnroot)) {
        calls++;
        if (!usages.has(name)) wrong.push(`${page.path}: there is no '${name}': ${call}`);
        else {
          const { options, endsAtOperand } = usageOf(name);
          const known = [...options, ...(betweenHosts[name] ?? []).map(optionOf), helpOption];
          for (const word of unknownOptions(rest, known, endsAtOperand)) {
            wrong.push(`${page.path}: '${name}' has no '${word}': ${call}`);
          }
        }
      }
    }
  }
  assertEquals(wrong, []);
  assert(calls > 50);
});

/** A call in code: the words up to where the shell goes on with something else. */
const callOfEnroot =
  /(?:^|[\s/($])enroot(?: -[qv]| --quiet| --verbose)* ([a-z][a-z-]*)([^|;&>#)]*)/g;

function unknownOptions(
  text: string,
  known: readonly UsageOption[],
  endsAtOperand: boolean,
): string[] {
  const wrong: string[] = [];
  let isValue = false;
  // Brackets and dots of a synopsis, and quotes.
  for (const word of text.replaceAll(/[[\]"'…]/g, " ").trim().split(/\s+/)) {
    if (word === "--") break;
    const isOption = /^--?[a-z]/.test(word);
    if (!isOption && !isValue && endsAtOperand && word !== "" && word !== "OPTION") break;
    isValue = false;
    if (!isOption) continue;
    for (const form of word.replace(/=.*/, "").split("|")) {
      const option = known.find(({ short, long }) => form === short || form === long);
      if (option === undefined) wrong.push(form);
      isValue = option?.value !== undefined && !word.includes("=");
    }
  }
  return wrong;
}

Deno.test("an option that stands alone in a page is one of the program's", async () => {
  const nsenter = await run([`${top.pathname}helper/build/enroot-nsenter`, "--help"]);
  const known = new Set([
    ...[...usages.values()].flatMap(({ options }) => options).concat(helpOption)
      .flatMap(({ short, long }) => [short, long]),
    ...[...`${nsenter} ${mount.usage}`.matchAll(/--[a-z-]+/g)].map(([word]) => word),
    ...optionsIn(bundleUsage),
    ...["--quiet", "--verbose", "-q", "-v"],
  ]);
  let seen = 0;
  for (const page of pages) {
    for (const code of codeOf(page)) {
      const [option] = /^(?:--[a-z][a-z-]*|-[a-z])(?=$|[ =])/.exec(code) ?? [];
      if (option === undefined) continue;
      seen++;
      assert(known.has(option), `${page.path}: the program has no '${option}'`);
    }
  }
  assert(seen > 50);
});

Deno.test("the page of bundle has the options that a bundle has", () => {
  const [, table] = [
    ...sectionOf(pageAt(`${prefix}bundle.md`), ""),
    ...sectionOf(pageAt(`${prefix}bundle.md`), "Running it"),
  ].filter((block) => block.kind === "table");
  assert(table?.kind === "table");
  const shown = table.rows.flatMap(([cell = ""]) => optionsIn(cell.replaceAll("`", "")));
  assertEquals(shown.toSorted(), [...new Set(optionsIn(bundleUsage))].toSorted());
});

/** The options that a text has, each with its dashes. */
function optionsIn(text: string): string[] {
  return [...text.matchAll(/(?<!\S)--?[a-z][a-z-]*/g)].map(([word]) => word);
}

Deno.test("every ENROOT_ variable in a page is one of the configuration's or of the program's", async () => {
  const sources = await wordsOf(["lib", "packaging/etc", "packaging/lib"]);
  const tests = await wordsOf(["tests"]);
  let seen = 0;
  for (const { path, text } of pages) {
    for (const [word] of text.matchAll(/\bENROOT_[A-Z_]*/g)) {
      seen++;
      const isKnown = Object.hasOwn(keys, word) || ignoredKeys.includes(word) ||
        sources.has(word) || word === "ENROOT_" || word === "ENROOT_KEY" ||
        (forContributors.includes(path) && tests.has(word));
      assert(isKnown, `${path}: there is no ${word}`);
    }
  }
  assert(seen > 100);
});

/** Pages that tell of tests, too. */
const forContributors = ["README.md", "docs/releasing.md"];

/** The variables that files below these folders name, tests left out, as they would be read or set. */
async function wordsOf(folders: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, top))) {
      if (isDirectory) {
        for (const word of await wordsOf([`${folder}/${name}`])) found.add(word);
      } else if (!name.endsWith("_test.ts")) {
        const text = await Deno.readTextFile(new URL(`${folder}/${name}`, top));
        for (const [word] of text.matchAll(/\bENROOT_[A-Z_]*[A-Z]\b/g)) found.add(word);
      }
    }
  }
  return found;
}

Deno.test("links between pages lead to a file, and to a heading in it", async () => {
  let links = 0;
  for (const page of pages) {
    for (const target of linksOf(page)) {
      if (/^https?:/.test(target)) continue;
      links++;
      const [file = "", anchor] = target.split("#");
      const path = file === ""
        ? page.path
        : new URL(file, new URL(page.path, "file:///")).pathname.slice(1);
      await Deno.stat(new URL(path, top)).catch(() => {
        throw new Error(`${page.path}: there is no ${path}`);
      });
      if (anchor === undefined) continue;
      assert(anchorsOf(pageAt(path)).includes(anchor), `${page.path}: ${path} has no #${anchor}`);
    }
  }
  assert(links > 50);
});

Deno.test("docs/README.md leads to every page, and that of the program to each of a command", () => {
  const index = linksOf(pageAt("docs/README.md")).map((target) => `docs/${target}`);
  const others = pages.map(({ path }) => path)
    .filter((path) => path !== "README.md" && path !== "docs/README.md")
    .filter((path) => !path.startsWith(prefix) || path === overview.path);
  assertEquals(
    [...new Set(index)].toSorted(),
    [...others, "docs/configuration.md"]
      .filter((path, at, all) => all.indexOf(path) === at).toSorted(),
  );
});

Deno.test("docs/image-format.md shows what the program writes", () => {
  const page = pageAt("docs/image-format.md");
  const example = (section: string): string => {
    const block = sectionOf(page, section).find(({ kind }) => kind === "code");
    assert(block?.kind === "code", section);
    return `${block.lines.join("\n")}\n`;
  };
  const files = rootfsFiles({
    entrypoint: ["/entry.sh"],
    cmd: ["serve", "--port", "80"],
    env: [],
    labels: { "org.opencontainers.image.title": "tools" },
    workingDir: "/work",
    volumes: ["/data"],
    diffIds: [],
    ...{ architecture: "amd64", os: "linux" },
  }, "docker://registry-1.docker.io/my/tools:1");
  const written = (name: string): string | undefined =>
    files.find((file) => file.name === name)?.content;
  assertEquals(example("/etc/rc"), written("rc"));
  assertEquals(example("/etc/fstab"), written("fstab"));
  assertEquals(parsePointer(example("Pointer files"), "the example").architecture, "amd64");
});
