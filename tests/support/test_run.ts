/**
 * Running tests and counting them.
 *
 * @module
 */

/** How many tests passed and failed; an ignored one is neither. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  /** Which failed, by file and name, and why. A long run says it once more at its end. */
  readonly failures: readonly string[];
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
  const failures = cases.filter((each) => /<(failure|error)\b/.test(each)).map(describeCase);
  const failed = failures.length;
  const ignored = cases.filter((each) => /<skipped\b/.test(each)).length;
  const passed = cases.length - failed - ignored;
  // A module that cannot be loaded fails the run but no test; and no test at all is no success.
  if (failed > 0 || code === 0 && passed > 0) return { passed, failed, failures };
  return { passed, failed: 1, failures: [`a run that ended with code ${code}`] };
}

function describeCase(testcase: string): string {
  const attribute = (name: string): string =>
    new RegExp(`\\b${name}="([^"]*)"`).exec(testcase)?.[1] ?? "";
  const reason = attribute("message").replace(/\s+/g, " ").slice(0, 300);
  const text = `${attribute("classname")}: ${attribute("name")}: ${reason}`;
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, entity) => entities[entity] ?? "");
}

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** The sum of counts. */
export function total(counts: readonly Count[]): Count {
  return counts.reduce((sum, each) => ({
    passed: sum.passed + each.passed,
    failed: sum.failed + each.failed,
    failures: [...sum.failures, ...each.failures],
  }));
}

/** The line that a run ends with. */
export function describe({ passed, failed }: Count): string {
  return `${passed} passed, ${failed} failed`;
}
