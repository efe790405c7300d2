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

function table(results: readonly BenchResult[]): string {
  const rows = [
    ["what", "median", "compared with", "median", "ratio", "at most", ""],
    ...results.map(({ name, medianMs, baseline, baselineMs, ratio, bound, ok }) => [
      ...[name, ms(medianMs), baseline, ms(baselineMs), ratio.toFixed(2), bound.toFixed(2)],
      ok ? "ok" : "TOO SLOW",
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length))
  );
  return rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  ).join("\n");
}

function ms(time: number): string {
  return `${time.toFixed(time < 100 ? 1 : 0)} ms`;
}
