/**
 * `deno task test`: install what is missing, check, build, and run every test, as one run.
 *
 * The last line is `N passed, N failed` and nothing else; the exit code is 0 when nothing failed.
 * A check or a build counts as one test.
 *
 * @module
 */

import { attempt } from "./support/command.ts";
import { ensurePackages, testPackages } from "./support/packages.ts";

const top = new URL("../", import.meta.url).pathname;
const deno = Deno.execPath();

/** Checks and builds in order; what the tests drive is built before they run. */
const steps: readonly { readonly name: string; readonly argv: readonly string[] }[] = [
  { name: "types", argv: [deno, "check", "--quiet"] },
  { name: "lint", argv: [deno, "lint", "--quiet"] },
  { name: "format", argv: [deno, "fmt", "--check", "--quiet"] },
  { name: "helper programs", argv: [deno, "task", "--quiet", "helper"] },
  { name: "executable", argv: [deno, "task", "--quiet", "compile"] },
];

interface Count {
  readonly passed: number;
  readonly failed: number;
}

await ensurePackages(testPackages);
const started = Date.now();
const counts: Count[] = [];
for (const step of steps) counts.push(await runStep(step));
counts.push(await runTests());

const notRun = [
  ...(Deno.env.has("DENORT_BIN")
    ? []
    : ["the `deno compile` form of the executable: set DENORT_BIN to a denort binary"]),
  ...(Deno.uid() === 0 ? [] : ["the tests that need root: run this as root as well"]),
];
for (const text of notRun) console.log(`not run: ${text}`);

const total = counts.reduce((sum, each) => ({
  passed: sum.passed + each.passed,
  failed: sum.failed + each.failed,
}));
console.log(`took ${Math.round((Date.now() - started) / 1000)} s`);
console.log(`${total.passed} passed, ${total.failed} failed`);
Deno.exit(total.failed === 0 ? 0 : 1);

async function runStep(
  { name, argv }: { readonly name: string; readonly argv: readonly string[] },
): Promise<Count> {
  const start = Date.now();
  const { code, stdout, stderr } = await attempt(argv, { cwd: top, env: { NO_COLOR: "1" } });
  console.log(`${name} ... ${code === 0 ? "ok" : "FAILED"} (${Date.now() - start} ms)`);
  if (code !== 0) console.log(`${stdout}${stderr}`);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function runTests(): Promise<Count> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    // Types were checked above. TMPDIR is not ours to choose: tests make their own folders in it.
    const status = await new Deno.Command(deno, {
      args: ["test", "-A", "--no-check", `--junit-path=${report}`, "lib", "packaging", "tests"],
      cwd: top,
      stdin: "null",
    }).spawn().status;
    const { passed, failed } = count(await Deno.readTextFile(report));
    // A module that cannot be loaded fails the run but no test; and no test at all is no success.
    const broken = failed === 0 && (status.code !== 0 || passed === 0);
    return { passed, failed: broken ? 1 : failed };
  } finally {
    await Deno.remove(report);
  }
}

/** Count the tests of a JUnit report; an ignored one is neither passed nor failed. */
function count(report: string): Count {
  const [, ...cases] = report.split("<testcase ");
  const failed = cases.filter((text) => /<(failure|error)\b/.test(text)).length;
  const ignored = cases.filter((text) => /<skipped\b/.test(text)).length;
  return { passed: cases.length - failed - ignored, failed };
}
