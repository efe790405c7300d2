/**
 * `deno task bench:import [--json]`: the first import of a large image into a ZFS store, by the programs
 * that do the same one after the other. Run on the pool that ENROOT_TEST_POOL names.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { run } from "../support/command.ts";
import { debootstrapImage } from "../support/debootstrap_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { zfs, ZfsBed } from "../support/zfs_bed.ts";
import { compare, type Contender, measure } from "./measure.ts";
import { table } from "./table.ts";

const rounds = 2;

/** What an import without the chain may take of the programs' time, and one with it of one without. */
const bounds = { plain: 1.3, chain: 1.1 };

/** Fetch, hash, inflate and hash, inflate and unpack: nothing shared between them but the file. */
const pipeline = `
curl --silent --show-error --fail --output "$2/blob" "$1"
sha256sum < "$2/blob" > "$2/sums"
pigz -dc "$2/blob" | sha256sum >> "$2/sums"
pigz -dc "$2/blob" | tar --extract --directory "$3"
`;

const { json } = parseArgs(Deno.args, { boolean: ["json"] });
const report = (text: string): void => console.error(`  ${text}`);
await using stack = new AsyncDisposableStack();
const layout = await debootstrapImage(report);
const registry = stack.use(await startRegistry());
const store = stack.use(await ZfsBed.make("root"));
const { bed, dataset } = store;
const repository = `127.0.0.1:${registry.port}/debian`;
await pushImage(layout, "debian", `${repository}:12`);
const layers = await layersOf(layout);

const scratch = `${dataset.name}/by-hand`;
const contenders: readonly Contender[] = [
  { name: "enroot import", prepare: empty, run: () => enrootImport({}) },
  {
    name: "enroot import, layer chain",
    prepare: empty,
    run: () => enrootImport({ ENROOT_ZFS_LAYER_CHAIN: "y" }),
  },
  {
    name: "curl, sha256sum, pigz, tar",
    async prepare(): Promise<void> {
      await empty();
      await zfs("create", "-o", `mountpoint=${bed.work}/by-hand`, scratch);
    },
    async run(): Promise<void> {
      for (const digest of layers) {
        const url = `http://${repository.replace("/", "/v2/")}/blobs/${digest}`;
        await run(["sh", "-euc", pipeline, "sh", url, bed.temp, `${bed.work}/by-hand`]);
      }
      await run(["sync", "--file-system", `${bed.work}/by-hand`]);
    },
  },
];
const [plain = [], chain = [], byHand = []] = await measure(contenders, rounds, report);
const results = [
  compare({
    name: "cold import",
    baseline: contenders[2]?.name ?? "",
    bound: bounds.plain,
    times: plain,
    baselineTimes: byHand,
  }),
  compare({
    name: "cold import, layer chain",
    baseline: "without the chain",
    bound: bounds.chain,
    times: chain,
    baselineTimes: plain,
  }),
];
console.log(json === true ? JSON.stringify(results, null, 2) : table(results));
await empty();
Deno.exitCode = results.every(({ ok }) => ok) ? 0 : 1;

async function enrootImport(env: Record<string, string>): Promise<void> {
  await store.succeed(["import", "-o", "x.sqsh", `docker://${repository}:12`], { env });
}

/** Nothing is left of what another run has made or fetched. */
async function empty(): Promise<void> {
  const found = (await dataset.contents()).filter((name) => !name.includes("@"));
  for (const name of found.filter((each) => /^(?:by-hand|\.templates|\.layers)$/.test(each))) {
    await zfs("destroy", "-R", `${dataset.name}/${name}`);
  }
  const paths = [`${bed.work}/x.sqsh`, `${bed.home}/.cache/enroot/blobs`, `${bed.temp}/blob`];
  await run(["rm", "-rf", ...paths]);
}

async function layersOf(folder: string): Promise<string[]> {
  const read = async (path: string): Promise<string> =>
    await Deno.readTextFile(`${folder}/${path}`);
  const [, manifest = ""] = /"digest":\s*"sha256:([0-9a-f]{64})"/.exec(await read("index.json")) ??
    [];
  const { layers } = JSON.parse(await read(`blobs/sha256/${manifest}`));
  return layers.map(({ digest }: { digest: string }) => digest);
}
