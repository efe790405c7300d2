/**
 * A command in the virtual machine as if it ran here: output, exit code, Ctrl-C.
 *
 * @module
 */

import { type Ending, runInVm } from "./boot.ts";
import { vmImage } from "./image.ts";
import { Scratch } from "./scratch.ts";

const top = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

/** How to run it. */
export interface HereOptions {
  /** Where the results go; by default a new folder, which is named when there are any. */
  readonly results?: string | undefined;
  /** For how many seconds the command may run; then the machine is killed. */
  readonly limit: number;
}

/** These say how tests run, and are the same in the machine. */
const passedOn = /^(ENROOT_UNDER_TEST|DENORT_BIN|NO_COLOR|TERM)$/;

/** Why the virtual machine cannot be run here; `undefined` when it can. */
export function whyNotHere(): string | undefined {
  if (Deno.build.arch !== "x86_64") return `it is for x86_64, and this is ${Deno.build.arch}`;
  return Deno.uid() === 0 ? undefined : "it shows all files of this machine, so it is for root";
}

/**
 * Run a command in the virtual machine, in this checkout. What it prints is printed here, and what
 * went wrong with the machine too.
 *
 * @returns its exit code; 124 when its time was over, 125 when the machine failed, 130 after Ctrl-C
 */
export async function runHere(argv: readonly string[], options: HereOptions): Promise<number> {
  const reason = whyNotHere();
  if (reason !== undefined) {
    console.error(
      `vm: it cannot be run here: ${reason}. Where there is an OpenZFS, name a dataset for the tests ` +
        "instead: ENROOT_TEST_POOL=tank/x deno task test:zfs",
    );
    return 125;
  }

  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    return await runIn(argv, options, interrupted.signal);
  } catch (error) {
    const { aborted } = interrupted.signal;
    // What was under way then fails because of it, each in its own words.
    console.error(
      `vm: ${aborted ? "interrupted" : error instanceof Error ? error.message : error}`,
    );
    return aborted ? 130 : 125;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

async function runIn(
  argv: readonly string[],
  { results, limit }: HereOptions,
  signal: AbortSignal,
): Promise<number> {
  const image = await vmImage((text) => console.error(`vm: ${text}`), signal);
  if (results !== undefined) await Deno.mkdir(results, { recursive: true });
  await using scratch = await Scratch.make();
  const folder = results === undefined ? scratch.path : await Deno.realPath(results);
  try {
    const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
    const denoDir = await Deno.realPath(Deno.env.get("DENO_DIR") ?? `${cache}/deno`);
    const program = (await Deno.realPath(Deno.execPath())).replace(/\/[^/]*$/, "");
    const env = Object.entries(Deno.env.toObject()).filter(([name]) => passedOn.test(name));
    const ending = await runInVm(image, {
      argv,
      cwd: top,
      env: { ...Object.fromEntries(env), DENO_DIR: denoDir },
      keep: [await Deno.realPath(top), denoDir, program],
      results: folder,
      limit,
      signal,
      stdout: (bytes) => writeAll(Deno.stdout, bytes),
      stderr: (bytes) => writeAll(Deno.stderr, bytes),
    });
    return exitCode(ending, limit);
  } finally {
    if (results === undefined) await keepIfAny(folder);
  }
}

function exitCode({ code, overdue, console: lines }: Ending, limit: number): number {
  if (code !== undefined && !overdue) return code;
  console.error(
    `vm: ${overdue ? `killed, for a limit of ${limit} s` : "it ended first"}; its console:\n` +
      lines.replaceAll(/^/gm, "    "),
  );
  return overdue ? 124 : 125;
}

/** Results stay, under another name, when there are any. */
async function keepIfAny(folder: string): Promise<void> {
  if ((await Array.fromAsync(Deno.readDir(folder))).length === 0) return;
  const kept = await Deno.makeTempDir({ prefix: "zenroot-vm-results-" });
  await Deno.rename(folder, kept);
  console.error(`vm: results are in ${kept}`);
}

async function writeAll(to: typeof Deno.stdout, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await to.write(bytes.subarray(done));
}
