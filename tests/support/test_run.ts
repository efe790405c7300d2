/**
 * Running tests and counting them.
 *
 * @module
 */

/** How many tests passed and failed; an ignored one is neither. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
}

/** What `deno test` is given so that {@linkcode countReport} can count. Types are checked apart. */
export function testArguments(report: string): string[] {
  return ["test", "-A", "--no-check", `--junit-path=${report}`];
}

/**
 * Count the tests of a run.
 *
 * @param report the path of its JUnit report, which need not be there
 * @param code its exit code
 */
export async function countReport(report: string, code: number): Promise<Count> {
  let text = "";
  try {
    text = await Deno.readTextFile(report);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const [, ...cases] = text.split("<testcase ");
  const failed = cases.filter((each) => /<(failure|error)\b/.test(each)).length;
  const ignored = cases.filter((each) => /<skipped\b/.test(each)).length;
  const passed = cases.length - failed - ignored;
  // A module that cannot be loaded fails the run but no test; and no test at all is no success.
  return { passed, failed: failed === 0 && (code !== 0 || passed === 0) ? 1 : failed };
}

/** The sum of counts. */
export function total(counts: readonly Count[]): Count {
  return counts.reduce((sum, each) => ({
    passed: sum.passed + each.passed,
    failed: sum.failed + each.failed,
  }));
}

/** The line that a run ends with. */
export function describe({ passed, failed }: Count): string {
  return `${passed} passed, ${failed} failed`;
}
