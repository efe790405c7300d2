/**
 * Results for people.
 *
 * @module
 */

import type { BenchResult } from "./measure.ts";

/** Results as a table of text. */
export function table(results: readonly BenchResult[]): string {
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
