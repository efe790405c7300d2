/**
 * What the executable adds to the start-up of the runtime that is in it.
 *
 * @module
 */

import { executable } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { type Benchmark, type BenchResult, compare, type Contender, measure } from "./measure.ts";

const rounds = 40;
const bound = 1.5;

/** `enroot version` against `deno run` of one line, with a home and without one. */
export const startup: Benchmark = { name: "startup", run: (report) => measureStartup(report) };

async function measureStartup(report: (text: string) => void): Promise<BenchResult[]> {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-bench-" });
  try {
    const script = `${folder}/one.js`;
    await Deno.writeTextFile(script, 'console.log("5.0.0");\n');
    for (const name of ["home", "tmp"]) await Deno.mkdir(`${folder}/${name}`);
    const path = "/usr/bin:/bin";
    const home = { PATH: path, HOME: `${folder}/home` };
    // Below a file nothing can be made, not even by root.
    const homeless = { PATH: path, HOME: "/dev/null/home", XDG_RUNTIME_DIR: `${folder}/tmp` };
    const one = program("deno run one.js", [Deno.execPath(), "run", script], home);
    const results: BenchResult[] = [];
    for (const [name, env] of [["startup", home], ["startup, no home", homeless]] as const) {
      const ours = program("enroot version", [executable, "version"], env);
      // Dozens of short runs: their medians say it all.
      const [times = [], baselineTimes = []] = await measure([ours, one], rounds);
      const result = compare({ name, baseline: one.name, bound, times, baselineTimes });
      report(`${name}: ${result.medianMs.toFixed(1)} ms, deno ${result.baselineMs.toFixed(1)} ms`);
      results.push(result);
    }
    return results;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function program(name: string, argv: readonly string[], env: Record<string, string>): Contender {
  return { name, run: async () => void await run(argv, { env, clearEnv: true }) };
}
