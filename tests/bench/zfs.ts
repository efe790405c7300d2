/**
 * `deno task bench:zfs [--json]`: what commands on the ZFS backend cost, by what they cannot cost less
 * than: the start of the runtime and of `zfs` processes. Run on the pool that ENROOT_TEST_POOL names.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { run } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { ZfsBed } from "../support/zfs_bed.ts";
import { type BenchResult, compare, type Contender, measure, median } from "./measure.ts";
import { table } from "./table.ts";

const rounds = 20;

/** A command, and its bound as so many starts of the runtime and of `zfs`. */
interface Job extends Contender {
  readonly starts: number;
  readonly lists: number;
}

const { json, _: users } = parseArgs(Deno.args, { boolean: ["json"] });
const results: BenchResult[] = [];
for (const user of ["root", "plain user"] as const) {
  if (users.length > 0 && !users.includes(user)) continue;
  results.push(...await bench(user));
}
console.log(json === true ? JSON.stringify(results, null, 2) : table(results));
Deno.exit(results.every(({ ok }) => ok) ? 0 : 1);

async function bench(user: "root" | "plain user"): Promise<BenchResult[]> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  const store = stack.use(await ZfsBed.make(user));
  const { bed, dataset } = store;
  const image = `127.0.0.1:${registry.port}/busybox:latest`;
  await makeBusyboxImage(`${bed.work}/layout`, "x");
  await pushImage(`${bed.work}/layout`, "x", image);
  await bed.own();
  await store.succeed(["import", "-o", "image.sqsh", `docker://${image}`]);
  await store.succeed(["create", "-n", "lasting", "image.sqsh"]);
  await Deno.writeTextFile(`${bed.temp}/empty.js`, "");
  // What the default hooks cost is not the store's: `deno task bench:start` has it.
  await Deno.mkdir(`${bed.sysconf}/hooks.d`);

  const enroot = (...args: readonly string[]): () => Promise<void> => async () =>
    void await store.succeed(args);
  const bare: readonly Contender[] = [
    {
      name: "S: deno run",
      run: async () => void await run([Deno.execPath(), "run", `${bed.temp}/empty.js`]),
    },
    { name: "Z: zfs list", run: async () => void await run(["zfs", "list", "-H", dataset.name]) },
  ];
  const jobs: readonly Job[] = [
    { name: "create", run: enroot("create", "-n", "c", "image.sqsh"), starts: 1.3, lists: 6 },
    { name: "start", run: enroot("start", "lasting", "true"), starts: 2.6, lists: 6 },
    { name: "remove", run: enroot("remove", "-f", "c"), starts: 1.3, lists: 5 },
    {
      name: "import",
      prepare: () => Deno.remove(`${bed.work}/again.sqsh`).catch(() => {}),
      run: enroot("import", "-o", "again.sqsh", `docker://${image}`),
      starts: 1.3,
      lists: 12,
    },
  ];
  const times = await measure([...bare, ...jobs], rounds, (text) => console.error(`  ${text}`));
  const [starts = [], lists = [], ...rest] = times;
  const [S, Z] = [median(starts), median(lists)];
  console.error(`${user}: S ${S.toFixed(0)} ms, Z ${Z.toFixed(0)} ms`);
  return jobs.map((job, index) =>
    compare({
      name: `${job.name}, ${user}`,
      baseline: `${job.starts} S + ${job.lists} Z`,
      bound: 1,
      times: rest[index] ?? [],
      baselineTimes: [job.starts * S + job.lists * Z],
    })
  );
}
