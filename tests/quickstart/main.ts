/**
 * `deno task quickstart [--zfs]`: build the executable, make a real image, put it into a real registry,
 * and run the main job with the executable, in a home of its own.
 *
 * With `--zfs` the containers are in a ZFS store of a plain user, made for it: in a virtual machine, or
 * below the dataset that ENROOT_TEST_POOL names.
 *
 * Everything but the build is gone at the end, also after a failure or Ctrl-C.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Bed, type User } from "../support/bed.ts";
import { cachedSampleImage } from "../support/cached_sample.ts";
import { type Result, run } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { ensurePackages, quickstartPackages, vmPackages } from "../support/packages.ts";
import { startRegistry } from "../support/registry.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";
import { runHere } from "../vm/run_here.ts";

const top = new URL("../../", import.meta.url).pathname;
const deno = Deno.execPath();

/** How long the virtual machine may take for all of it, in seconds. */
const vmLimit = 900;

const { zfs: onZfs } = parseArgs(Deno.args, { boolean: ["zfs"] });
const isInside = Deno.env.has("ENROOT_TEST_POOL");
if (!isInside || onZfs !== true) {
  await ensurePackages([
    ...quickstartPackages,
    ...(onZfs === true ? [...vmPackages, "libcap2-bin" as const] : []),
  ]);
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}

const started = performance.now();
try {
  if (onZfs === true && !isInside) await quickstartInMachine();
  else await quickstart();
  console.log(
    `\nDone in ${((performance.now() - started) / 1000).toFixed(1)} s: dist/enroot works.`,
  );
} catch (error) {
  console.error(`\nquickstart failed: ${error instanceof Error ? error.message : error}`);
  Deno.exit(interrupted.signal.aborted ? 130 : 1);
}
Deno.exit(0);

async function quickstartInMachine(): Promise<void> {
  await build();
  await step("make an image out of Debian's own files", async () => [await cachedSampleImage()]);
  const command = ["deno", "run", "-A", "tests/quickstart/main.ts", "--zfs"];
  const code = await runHere(command, { limit: vmLimit });
  if (code !== 0) throw new Error(`in the virtual machine it ended with ${code}`);
}

async function build(): Promise<void> {
  await step("build the helper programs", () => runInTree("helper"));
  await step("build the executable dist/enroot", () => runInTree("compile"));
}

async function quickstart(): Promise<void> {
  await using stack = new AsyncDisposableStack();

  if (!isInside) await build();
  let layout: string;
  if (onZfs === true) layout = await cachedSampleImage();
  else {
    const folder = await Deno.makeTempDir({ prefix: "zenroot-quickstart-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    layout = `${folder}/layout`;
    const layers: string[] = [];
    await step("make an image out of Debian's own files", async () => {
      await makeSampleImage(layout, { report: (text) => layers.push(text) });
      return layers;
    });
  }

  const registry = await step("start a registry on 127.0.0.1", async () => {
    return stack.use(await startRegistry());
  });
  const image = `127.0.0.1:${registry.port}/quickstart/debian:1.0`;
  await step("push the image to it", async () => {
    await pushImage(layout, "sample", image);
    return [image];
  });

  const user: User = Deno.uid() === 0 && onZfs !== true ? "root" : "plain user";
  const store = onZfs === true
    ? await step("make a ZFS store of a plain user", async () => {
      return stack.use(await ZfsBed.make(user));
    })
    : undefined;
  const bed = store ?? stack.use(await Bed.make(user));
  const enroot = (...args: string[]): Promise<string[]> =>
    step(`enroot ${args.map(quote).join(" ")}`, async () => {
      const { code, signal, stdout, stderr }: Result = await bed.enroot(args, {
        signal: interrupted.signal,
      });
      const lines = `${stderr}${stdout}`.split("\n").filter((line) => line !== "");
      if (code === 0) return lines;
      throw new Error(
        `it ended with ${signal ?? code}\n${lines.map((line) => `    ${line}`).join("\n")}`,
      );
    });

  await enroot("version");
  await enroot("import", "-o", "debian.sqsh", `docker://${image}`);
  await enroot("create", "--name", "quick", "debian.sqsh");
  await enroot("list");
  if (store !== undefined) {
    const { name } = store.dataset;
    await step("zfs list -r -o name,used,referenced,origin", async () => {
      const columns = ["-o", "name,used,referenced,origin"];
      const text = await zfs("list", "-r", ...columns, name);
      return text.replaceAll(`${name}/`, "…/").replace(name, "…").trimEnd().split("\n");
    });
  }
  await enroot("start", "quick", "sh", "-c", 'echo "$GREETING, in $PWD, as $(id -u)"');
  await enroot("start", "--root", "--rw", "quick", "sh", "-c", "id; touch /made-inside");
  if (store !== undefined) await enroot("start", "debian.sqsh", "echo", "thrown away");
  await enroot("export", "--output", "changed.sqsh", "quick");
  await enroot("remove", "--force", "quick");
  await enroot("list");
}

/** Do one step, and say what it was, how long it took and what it said. */
async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  interrupted.signal.throwIfAborted();
  const start = performance.now();
  let result: T;
  try {
    result = await work();
  } catch (error) {
    interrupted.signal.throwIfAborted();
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`);
  }
  console.log(`${`${Math.round(performance.now() - start)} ms`.padStart(9)}  ${name}`);
  if (Array.isArray(result)) {
    for (const line of result) {
      console.log(`${" ".repeat(11)}  ${line}`);
    }
  }
  return result;
}

/** Run a task of deno.json. */
async function runInTree(task: string): Promise<void> {
  await run([deno, "task", "--quiet", task], { cwd: top, signal: interrupted.signal });
}

function quote(word: string): string {
  return /^[\w/.:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
