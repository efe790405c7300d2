/**
 * `deno task compile`: makes the single executable `dist/enroot`.
 *
 * Two forms, behind the same launcher: with `DENORT_BIN` set, the program compiled by `deno compile` on
 * that base; without, the runtime that builds it and the bundled program.
 *
 * @module
 */

import { runtimeFlags, runtimeName } from "../lib/process/assets.ts";
import { makeImportsLazy } from "./lazy_imports.ts";
import { pack, type PackedFile } from "./payload.ts";

const top = new URL("../", import.meta.url).pathname.replace(/\/$/, "");
/** The C programs that come with the launcher's. */
export const helpers: readonly string[] = ["enroot-bundle", "enroot-nsenter", "enroot-zfs-mount"];

/** Files and command of a payload. */
export interface Contents {
  readonly files: readonly PackedFile[];
  readonly words: readonly string[];
}

/** Run a program in a folder; what it prints is shown when it fails. */
async function runIn(cwd: string, ...argv: string[]): Promise<void> {
  const [program = "", ...args] = argv;
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  if (success) return;
  await Deno.stderr.write(stdout);
  await Deno.stderr.write(stderr);
  throw new Error(`${argv.join(" ")} failed`);
}

/** Run a program in the project's folder. */
function run(...argv: string[]): Promise<void> {
  return runIn(top, ...argv);
}

/** The files in a folder and below it, named with a prefix. */
export async function filesIn(folder: string, prefix: string): Promise<PackedFile[]> {
  const found: PackedFile[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await filesIn(path, `${prefix}${name}/`));
    else {
      const isProgram = ((await Deno.stat(path)).mode ?? 0) & 0o100;
      found.push({ name: `${prefix}${name}`, path, mode: isProgram ? 0o755 : 0o644 });
    }
  }
  return found;
}

/** The entries of a bundle: each worker is a program of its own. */
async function entries(): Promise<string[]> {
  const workers = (await Array.fromAsync(Deno.readDir(`${top}/workers`)))
    .map(({ name }) => name).filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts"));
  return ["main.ts", ...workers.sort().map((name) => `workers/${name}`)];
}

/**
 * The names of a bundle's parts depend on the paths of all modules, seen from the folder it is made
 * in. So it is made of a copy that has its packages in it: then they are the same wherever this is.
 */
async function bundled(work: string, runtime: string): Promise<Contents> {
  const copy = `${work}/source`;
  await Deno.mkdir(copy);
  const parts = ["main.ts", "deno.json", "deno.lock", "lib", "workers"];
  await run("cp", "-R", ...parts, copy);
  const bundle = [
    ...[Deno.execPath(), "bundle", "--quiet", "--node-modules-dir=auto", "--platform=deno"],
    "--code-splitting",
  ];
  // Each by itself: what two entries share becomes a part of its own, and a start pays for each part.
  const [main = "", ...workers] = await entries();
  await runIn(copy, ...bundle, `--outdir=${work}/bundle`, main);
  await runIn(copy, ...bundle, `--outdir=${work}/bundle`, "lib/commands/second_stage.ts");
  await runIn(copy, ...bundle, `--outdir=${work}/bundle/workers`, ...workers);
  const scripts = await filesIn(`${work}/bundle`, "");
  for (const { path } of scripts) {
    await Deno.writeTextFile(path, makeImportsLazy(await Deno.readTextFile(path)));
  }
  return {
    files: [{ name: runtimeName, path: runtime, mode: 0o755 }, ...scripts],
    words: [`@/${runtimeName}`, ...runtimeFlags, "@/main.js"],
  };
}

async function compiled(work: string): Promise<Contents> {
  const included = (await entries()).slice(1).flatMap((worker) => ["--include", worker]);
  const output = `${work}/${runtimeName}`;
  await run(
    Deno.execPath(),
    // Its code cache would have a name in /tmp that anybody can guess.
    ...["compile", "--quiet", "--allow-all", "--no-prompt", "--no-code-cache", ...included],
    ...[`--output=${output}`, "main.ts"],
  );
  return {
    files: [{ name: runtimeName, path: output, mode: 0o755 }],
    words: [`@/${runtimeName}`],
  };
}

/** How an executable is made. */
export interface CompileOptions {
  /** Where to; `dist/enroot` by default. */
  readonly output?: string;
  /** The launcher; the one in `helper/build` by default, which is built first. */
  readonly launcher?: string;
}

/**
 * What goes into a payload, but for the helpers.
 *
 * @param work an empty folder, for what is made; it is needed as long as the contents are
 * @param runtime that of another architecture, in place of the one that runs this
 * @throws {Error} when a program that is needed fails
 */
export async function makeContents(
  work: string,
  runtime: string = Deno.execPath(),
): Promise<Contents> {
  const { files, words } = isCompiled() ? await compiled(work) : await bundled(work, runtime);
  const more = [
    ...await filesIn(`${top}/packaging/etc`, "etc/"),
    ...await filesIn(`${top}/packaging/lib`, "lib/"),
  ];
  return { files: [...files, ...more], words };
}

/** The contents with the helpers of a folder. */
export function withHelpers({ files, words }: Contents, folder: string): Contents {
  const own = helpers.map((name) => ({
    name: `libexec/${name}`,
    path: `${folder}/${name}`,
    mode: 0o755,
  }));
  return { files: [...files, ...own], words };
}

/** Whether `deno compile` makes the program. */
function isCompiled(): boolean {
  return Deno.env.get("DENORT_BIN") !== undefined;
}

/** Make the executable. @returns its path @throws {Error} when a program that is needed fails */
export async function compile(
  log: (line: string) => void,
  options: CompileOptions = {},
): Promise<string> {
  const begun = performance.now();
  const { output = `${top}/dist/enroot`, launcher = `${top}/helper/build/enroot-launcher` } =
    options;
  await run("make", "-s", "-C", "helper");
  const work = await Deno.makeTempDir();
  try {
    const { files, words } = withHelpers(await makeContents(work), `${top}/helper/build`);
    await Deno.mkdir(output.slice(0, output.lastIndexOf("/")), { recursive: true });
    const { id, size } = await pack(launcher, files, words, output);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    log(
      `Made ${output} (${isCompiled() ? "compiled" : "bundled"} form, ` +
        `${(size / 2 ** 20).toFixed(0)} MiB, content ${id.slice(0, 12)}) in ${seconds} s`,
    );
    return output;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

if (import.meta.main) await compile(console.log);
