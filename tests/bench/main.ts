/**
 * `deno task bench [--json] [NAME…]`: measure side by side with what a user would run instead.
 *
 * Only ratios from one run mean something: machines differ, and so do days. The exit code is 1 when
 * a bound is not kept.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { run } from "../support/command.ts";
import { buildPackages, ensurePackages } from "../support/packages.ts";
import { importing, load } from "./images.ts";
import type { Benchmark, BenchResult } from "./measure.ts";
import { startup } from "./startup.ts";
import { table } from "./table.ts";

const benchmarks: readonly Benchmark[] = [startup, load, importing];

const options = parseArgs(Deno.args, { boolean: ["json"] });
const names = options._.map(String);
for (const name of names) {
  if (benchmarks.some((benchmark) => benchmark.name === name)) continue;
  console.error(
    `no benchmark '${name}': there are ${benchmarks.map((each) => each.name).join(", ")}`,
  );
  Deno.exit(1);
}

await ensurePackages([
  ...buildPackages,
  ...["docker-registry", "skopeo", "umoci", "debootstrap"] as const,
]);
console.error("building dist/enroot");
for (const task of ["helper", "compile"]) await run([Deno.execPath(), "task", "--quiet", task]);

const results: BenchResult[] = [];
for (const benchmark of benchmarks) {
  if (names.length > 0 && !names.includes(benchmark.name)) continue;
  console.error(`measuring ${benchmark.name}`);
  results.push(...await benchmark.run((text) => console.error(`  ${text}`)));
}

console.log(options["json"] === true ? JSON.stringify(results, null, 2) : table(results));
Deno.exit(results.every(({ ok }) => ok) ? 0 : 1);
