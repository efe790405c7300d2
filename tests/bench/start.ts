/**
 * `deno task bench:start [--json]`: what a start of a container costs, by a start of the runtime, and where
 * that goes.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { Bed } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { run } from "../support/command.ts";
import { type BenchResult, compare, type Contender, measure, median } from "./measure.ts";
import { table } from "./table.ts";

const rounds = 30;

/** So many starts of the runtime a start with all default hooks may take. */
const bound = 5;

const { json, _: users } = parseArgs(Deno.args, { boolean: ["json"] });
for (const task of ["helper", "compile"]) await run([Deno.execPath(), "task", "--quiet", task]);
const results: BenchResult[] = [];
for (const user of ["root", "plain user"] as const) {
  if (users.length > 0 && !users.includes(user)) continue;
  results.push(await bench(user));
}
console.log(json === true ? JSON.stringify(results, null, 2) : table(results));
Deno.exit(results.every(({ ok }) => ok) ? 0 : 1);

async function bench(user: "root" | "plain user"): Promise<BenchResult> {
  await using bed = await Bed.make(user);
  await makeBusyboxImage(`${bed.work}/layout`, "x");
  await bed.own();
  await bed.succeed(["load", "-n", "lasting", "oci:layout:x"]);
  await Deno.writeTextFile(`${bed.temp}/empty.js`, "");
  const bare = `${bed.work}/bare`;
  await Deno.mkdir(`${bare}/hooks.d`, { recursive: true });

  const enroot =
    (env: Record<string, string>, ...args: string[]): () => Promise<void> => async () =>
      void await bed.succeed(args, { env });
  const contenders: readonly Contender[] = [
    {
      name: "deno run",
      run: async () => void await run([Deno.execPath(), "run", `${bed.temp}/empty.js`]),
    },
    { name: "enroot start NAME true", run: enroot({}, "start", "lasting", "true") },
    {
      name: "the same without hooks",
      run: enroot({ ENROOT_SYSCONF_PATH: bare }, "start", "lasting", "true"),
    },
    { name: "enroot version", run: enroot({}, "version") },
  ];
  const [baselineTimes = [], times = [], ...rest] = await measure(contenders, rounds);
  for (const [index, each] of [times, ...rest].entries()) {
    const name = contenders[index + 1]?.name ?? "";
    console.error(`${user}: ${name}: ${median(each).toFixed(1)} ms`);
  }
  return compare({ name: `start, ${user}`, baseline: "deno run", bound, times, baselineTimes });
}
