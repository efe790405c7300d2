/**
 * `deno task fuzz [--seconds N] [--seed N] [--keep FOLDER]`: real archives, made a little wrong, are
 * applied as layers. Found is: an error without a type, a write outside the root folder, a descriptor or
 * memory that is not given back, a layer that takes for ever.
 *
 * Each case has a seed of its own that is printed with what it found; `--seed N --cases 1` repeats it.
 * As root it goes on as a plain user: whatever it may find must not find this machine.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { EnrootError } from "../../lib/errors.ts";
import { applyLayer } from "../../lib/layer/apply_layer.ts";
import { parseDiffId } from "../../lib/oci/digest.ts";
import type { LayerCompression } from "../../lib/oci/media_type.ts";
import { removeTree } from "../../lib/sys/remove_tree.ts";
import { run } from "../support/command.ts";
import { mutateBytes, mutateTar } from "./mutate.ts";
import { Random } from "./random.ts";
import { makeSeeds } from "./seeds.ts";

/** A layer may take this long, in milliseconds. */
const patience = 20_000;
/** What is allowed to come and go: the runtime's own. */
const spareDescriptors = 4;
/** What the process has of the system, and what of that it holds, garbage included. */
const spareMemory = 400 << 20;
const spareHeld = 256 << 20;

/** With an arena for each thread glibc keeps more the longer they take turns, and a leak would not show. */
const allocator = { MALLOC_ARENA_MAX: "1" };

if (Deno.uid() === 0) await goOnAsPlainUser();
if (!Deno.env.has("MALLOC_ARENA_MAX")) await goOnWithOneArena();

const options = parseArgs(Deno.args, { string: ["seconds", "seed", "cases", "keep"] });
const seconds = Number(options["seconds"] ?? 60);
const firstSeed = Number(options["seed"] ?? Math.floor(Math.random() * 2 ** 32));
const cases = Number(options["cases"] ?? Infinity);

const scratch = await Deno.makeTempDir({ prefix: "zenroot-fuzz-" });
const outside = `${scratch}/outside`;
const root = `${scratch}/box/root`;
const outcomes = new Map<string, number>();
const findings: string[] = [];
try {
  await Deno.mkdir(`${scratch}/seeds`);
  const seeds = await makeSeeds(`${scratch}/seeds`);
  await Deno.mkdir(outside);
  await Deno.writeTextFile(`${outside}/victim`, "untouched");
  await Deno.mkdir(`${scratch}/box`);
  const before = await picture();
  const descriptors = count();
  const deadline = performance.now() + seconds * 1000;
  let done = 0;
  for (; done < cases && performance.now() < deadline; done++) {
    const seed = (firstSeed + done) >>> 0;
    await tryCase(seeds, seed);
    if (await picture() !== before) finding(seed, "something outside the root folder has changed");
    if (count() > descriptors + spareDescriptors) finding(seed, `${count()} descriptors are open`);
    const { rss, heapUsed, external } = Deno.memoryUsage();
    if (rss > spareMemory || heapUsed + external > spareHeld) {
      finding(seed, `${rss >> 20} MB are in use, ${heapUsed + external >> 20} MB of them held`);
    }
    if (findings.length >= 20) break;
  }
  console.log(`${done} cases from seed ${firstSeed}`);
  for (const [outcome, times] of [...outcomes].sort((a, b) => b[1] - a[1])) {
    console.log(`${String(times).padStart(8)}  ${outcome}`);
  }
} finally {
  removeTree(scratch);
}
console.log(`${findings.length} findings`);
Deno.exit(findings.length === 0 ? 0 : 1);

async function tryCase(seeds: readonly Uint8Array<ArrayBuffer>[], seed: number): Promise<void> {
  const random = new Random(seed);
  const hostile = [
    ...["../outside/victim", `${outside}/victim`, "a/../../../outside/x", "..", ".", "/", ""],
    ...[
      "a",
      "a/b",
      "a/one",
      ".wh.a",
      ".wh..",
      ".wh.",
      ".wh..wh..opq",
      "a/.wh.b",
      "\xff\xfe",
      "x\0y",
    ],
    ...[
      "dev/null",
      "a/b/link/x",
      "7777777",
      "-1",
      "99999999999999999999",
      "x".repeat(200),
      "././a",
    ],
  ];
  const tar = mutateTar(random.pick(seeds), random.pick(seeds), hostile, random);
  const compression: LayerCompression = random.pick(["none", "none", "gzip", "zstd"]);
  let stored: Uint8Array<ArrayBuffer> = tar;
  if (compression === "gzip") stored = new Uint8Array(gzipSync(tar, { level: 1 }));
  if (compression === "zstd") stored = new Uint8Array(zstdCompressSync(tar));
  if (compression !== "none" && random.chance(0.3)) stored = mutateBytes(stored, random);
  const file = `${scratch}/layer`;
  await Deno.writeFile(file, stored);
  await Deno.mkdir(root);
  if (random.chance(0.5)) await lowerLayer();
  const diffId = parseDiffId(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
  const timer = setTimeout(() => finding(seed, `takes more than ${patience} ms`), patience);
  try {
    const { entries } = await applyLayer({
      kind: "apply-layer",
      id: 1,
      root,
      name: "layer",
      file: { path: file, offset: 0, size: stored.length },
      compression,
      diffId,
      ownership: "caller",
      limits: { maxSize: 64 << 20 },
      cancelled: new SharedArrayBuffer(4),
    }, () => {});
    note(`applied, ${entries > 0 ? "with" : "without"} entries`);
  } catch (error) {
    if (error instanceof EnrootError) note(`refused: ${error.code}`);
    else finding(seed, error instanceof Error ? error.stack ?? error.message : String(error));
  } finally {
    clearTimeout(timer);
    removeTree(root);
  }
}

/** What a layer below may have left: links that lead out. */
async function lowerLayer(): Promise<void> {
  await Deno.symlink("../../outside", `${root}/a`);
  await Deno.symlink(outside, `${root}/deep`);
  await Deno.mkdir(`${root}/opaque`);
  await Deno.symlink(`${outside}/victim`, `${root}/opaque/new`);
}

/** Everything in the scratch folder but the root and what is written by this program. */
async function picture(): Promise<string> {
  return await run(["find", outside, `${scratch}/box`, "-printf", "%p %y %m %s %T@\n"])
    .then((text) => text.replace(/^.*\/box [^\n]*$/m, ""));
}

function count(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

function note(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

function finding(seed: number, what: string): void {
  findings.push(what);
  console.log(`seed ${seed}: ${what}`);
}

async function goOnAsPlainUser(): Promise<never> {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-fuzz-home-" });
  try {
    // The checkout may be in a folder that only root can enter: it is copied.
    const top = new URL("../../", import.meta.url).pathname;
    await run([
      "cp",
      "-r",
      `${top}lib`,
      `${top}tests`,
      `${top}deno.json`,
      `${top}deno.lock`,
      folder,
    ]);
    await run(["cp", Deno.execPath(), `${folder}/deno`]);
    await run(["cp", "-r", await cachePath(), `${folder}/cache`]);
    await run(["chown", "-R", "12345:12345", folder]);
    const child = new Deno.Command("setpriv", {
      args: [
        ...[
          "--reuid",
          "12345",
          "--regid",
          "12345",
          "--clear-groups",
          `${folder}/deno`,
          "run",
          "-A",
        ],
        ...["--cached-only", "tests/fuzz/main.ts", ...Deno.args],
      ],
      cwd: folder,
      env: { DENO_DIR: `${folder}/cache`, HOME: folder, ...allocator },
    }).spawn();
    Deno.exit((await child.status).code);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function goOnWithOneArena(): Promise<never> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(import.meta.url).pathname, ...Deno.args],
    env: allocator,
  }).spawn();
  Deno.exit((await child.status).code);
}

async function cachePath(): Promise<string> {
  const info: { denoDir: string } = JSON.parse(await run([Deno.execPath(), "info", "--json"]));
  return info.denoDir;
}
