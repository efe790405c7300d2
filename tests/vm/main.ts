/**
 * `deno task vm -- COMMAND…`: run a command on this checkout, in a virtual machine with OpenZFS.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { ensurePackages, vmPackages } from "../support/packages.ts";
import { runHere } from "./run_here.ts";

const usage = `Usage: deno task vm -- [OPTIONS] COMMAND [ARGUMENT...]

Run a command in a virtual machine with OpenZFS, in this checkout, as root.

The machine sees this machine's files; what it writes is gone at the end, except for what is in the
folder \$ENROOT_VM_RESULTS. It has a pool 'tank'; \$ENROOT_TEST_POOL names a dataset of it to work in.
The exit code is the command's; 124 when its time is over.

  --results DIR    where the results go; default: a new folder, named when there are any
  --limit SECONDS  how long COMMAND may run; then the machine is killed; default: 600
  --help           print this`;

const words = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
const options = parseArgs(words, {
  stopEarly: true,
  string: ["results", "limit", "_"],
  boolean: ["help"],
});
const { help, _: argv } = options;
const limit = String(options["limit"] ?? 600);
const results = options["results"] === undefined ? undefined : String(options["results"]);
if (help) {
  console.log(usage);
  Deno.exit(0);
}
if (argv.length === 0 || !/^[1-9]\d*$/.test(limit)) {
  console.error(usage);
  Deno.exit(2);
}
await ensurePackages(vmPackages);
Deno.exit(await runHere(argv.map(String), { results, limit: Number(limit) }));
