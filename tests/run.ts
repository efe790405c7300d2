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
import { type Count, countReport, describe, testArguments, total } from "./support/test_run.ts";
import { vmImage } from "./vm/image.ts";
import { whyNotHere } from "./vm/run_here.ts";
import { runZfsTests } from "./vm/zfs_tests.ts";

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

await ensurePackages(testPackages);
const started = Date.now();
const counts: Count[] = [];
for (const step of steps) counts.push(await runStep(step));
const noVm = whyNotHere();
if (noVm === undefined) counts.push(await buildVm());
counts.push(await runTests());
const noZfs = Deno.env.has("ENROOT_TEST_POOL") ? undefined : noVm;
if (noZfs === undefined) counts.push(await runZfsTests());

const notRun = [
  ...(noVm === undefined ? [] : [`the tests of the virtual machine: ${noVm}`]),
  ...(noZfs === undefined
    ? []
    : ["the tests with OpenZFS: set ENROOT_TEST_POOL to a dataset where there is one"]),
  ...(noZfs !== undefined || Deno.env.has("ENROOT_TEST_ALL_USERS")
    ? []
    : ["as root, too, what takes long on ZFS: set ENROOT_TEST_ALL_USERS, or deno task soak users"]),
  ...(Deno.env.has("DENORT_BIN")
    ? []
    : ["the `deno compile` form of the executable: set DENORT_BIN to a denort binary"]),
  ...(Deno.uid() === 0 ? [] : ["the tests that need root: run this as root as well"]),
];
for (const text of notRun) console.log(`not run: ${text}`);

const sum = total(counts);
for (const name of sum.failures) console.log(`FAILED: ${name}`);
console.log(`took ${Math.round((Date.now() - started) / 1000)} s`);
console.log(describe(sum));
Deno.exit(sum.failed === 0 ? 0 : 1);

async function runStep(
  { name, argv }: { readonly name: string; readonly argv: readonly string[] },
): Promise<Count> {
  const start = Date.now();
  const { code, stdout, stderr } = await attempt(argv, { cwd: top, env: { NO_COLOR: "1" } });
  console.log(`${name} ... ${code === 0 ? "ok" : "FAILED"} (${Date.now() - start} ms)`);
  if (code !== 0) console.log(`${stdout}${stderr}`);
  return code === 0
    ? { passed: 1, failed: 0, failures: [] }
    : { passed: 0, failed: 1, failures: [name] };
}

/** Not one of the steps: it takes minutes when it is not there yet, and says how far it is. */
async function buildVm(): Promise<Count> {
  const start = Date.now();
  try {
    await vmImage((text) => console.log(text));
    console.log(`virtual machine ... ok (${Date.now() - start} ms)`);
    return { passed: 1, failed: 0, failures: [] };
  } catch (error) {
    console.log(`virtual machine ... FAILED (${Date.now() - start} ms)\n${error}`);
    return { passed: 0, failed: 1, failures: ["virtual machine"] };
  }
}

/** All of tests/ but what needs OpenZFS: folders with tests, and tests that are in none. */
async function testsHere(): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`${top}tests`));
  return entries
    .filter(({ name, isDirectory }) => isDirectory ? name !== "zfs" : name.endsWith("_test.ts"))
    .map(({ name }) => `tests/${name}`).sort();
}

async function runTests(): Promise<Count> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    // TMPDIR is not ours to choose: tests make their own folders in it.
    const { code } = await new Deno.Command(deno, {
      args: [...testArguments(report), "lib", "packaging", ...await testsHere()],
      cwd: top,
      stdin: "null",
    }).spawn().status;
    return await countReport(report, code);
  } finally {
    await Deno.remove(report);
  }
}
