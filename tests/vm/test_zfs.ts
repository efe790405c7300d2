/**
 * `deno task test:zfs`: build what the tests with OpenZFS drive, and run them.
 *
 * The last line is `N passed, N failed`; the exit code is 0 when nothing failed.
 *
 * @module
 */

import { run } from "../support/command.ts";
import { ensurePackages, testPackages } from "../support/packages.ts";
import { describe } from "../support/test_run.ts";
import { runZfsTests } from "./zfs_tests.ts";

const top = new URL("../../", import.meta.url).pathname;
const extra = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;

// Where there is an OpenZFS no machine is needed for it.
const own = Deno.env.has("ENROOT_TEST_POOL");
await ensurePackages(testPackages.filter((name) => !own || name !== "qemu-system-x86"));
for (const task of ["helper", "compile"]) {
  await run([Deno.execPath(), "task", "--quiet", task], { cwd: top });
}
const count = await runZfsTests(extra);
console.log(describe(count));
Deno.exit(count.failed === 0 ? 0 : 1);
