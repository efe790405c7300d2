/**
 * `deno task bench:layers [--json FILE] [NAME…]`: applying layers, side by side with what a user would run
 * instead, on a file system in memory. Both digests of every byte are checked, by us and by them.
 *
 * The exit code is 1 when a bound is not kept.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { executable } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { debootstrapImage } from "../support/debootstrap_image.ts";
import { listFolder, tarPaths } from "../support/layer_tar.ts";
import { type Compression, OciLayout, type StoredLayer } from "../support/oci_layout.ts";
import { buildPackages, ensurePackages } from "../support/packages.ts";
import { type Contender, measure, median } from "./measure.ts";

/** What is measured, with the most that our time may be of each peer's. */
interface Case {
  readonly name: string;
  readonly compression: Compression;
  readonly bounds: Readonly<Record<string, number>>;
  /** The folders or parts of one that become a layer each. */
  readonly layers: (source: Source) => Promise<string[][]>;
}

/** Folders to make layers of. */
interface Source {
  readonly debian: string;
  readonly small: string;
}

const rounds = 5;
const smallFiles = 100_000;
const memory = "/dev/shm";

const whole = async ({ debian }: Source): Promise<string[][]> => [await listFolder(debian)];
const cases: readonly Case[] = [
  { name: "plain", compression: "none", bounds: {}, layers: whole },
  { name: "gzip", compression: "gzip", bounds: { tar: 0.6, umoci: 0.6 }, layers: whole },
  { name: "zstd", compression: "zstd", bounds: { tar: 0.7 }, layers: whole },
  {
    name: "gzip-8",
    compression: "gzip",
    bounds: { umoci: 0.5 },
    layers: async ({ debian }) => {
      const paths = await listFolder(debian);
      const size = Math.ceil(paths.length / 8);
      return Array.from({ length: 8 }, (_, index) => paths.slice(index * size, (index + 1) * size));
    },
  },
  {
    name: "small-files",
    compression: "none",
    bounds: { tar: 1.0 },
    layers: async ({ small }) => [await listFolder(small)],
  },
];

// What a user without a tool for images would run; the hashes are of the tar, and of the blob.
const unpackers: Readonly<Record<Compression, string>> = {
  none: `tee >(sha256sum >"$SUMS") <"$BLOB" | tar -x -C "$OUT"`,
  gzip: `pigz -dc "$BLOB" | tee >(sha256sum >"$SUMS") | tar -x -C "$OUT"; sha256sum <"$BLOB"`,
  zstd: `zstd -qdc "$BLOB" | tee >(sha256sum >"$SUMS") | tar -x -C "$OUT"; sha256sum <"$BLOB"`,
};

const options = parseArgs(Deno.args, { string: ["json"] });
const names = options._.map(String);
await ensurePackages([...buildPackages, ...["umoci", "debootstrap", "pigz", "zstd"] as const]);
for (const task of ["helper", "compile"]) await run([Deno.execPath(), "task", "--quiet", task]);

const results: {
  readonly name: string;
  readonly ours_ms: number;
  readonly peers: Record<string, number>;
  readonly ratios: Record<string, number>;
}[] = [];
let isKept = true;
const scratch = await Deno.makeTempDir({ dir: memory, prefix: "zenroot-bench-" });
try {
  const source = await makeSource();
  for (const each of cases) {
    if (names.length > 0 && !names.includes(each.name)) continue;
    await measureCase(each, source);
  }
} finally {
  await run(["rm", "-rf", scratch]);
}
if (options["json"] !== undefined) {
  await Deno.writeTextFile(String(options["json"]), JSON.stringify({ cases: results }, null, 2));
}
Deno.exit(isKept ? 0 : 1);

async function measureCase(each: Case, source: Source): Promise<void> {
  const { name, compression, bounds } = each;
  console.error(`making the layers of '${name}'`);
  const folder = `${scratch}/${name}`;
  const layout = await OciLayout.create(folder);
  const layers: StoredLayer[] = [];
  for (const paths of await each.layers(source)) {
    const tar = `${scratch}/layer.tar`;
    await tarPaths(tar, name === "small-files" ? source.small : source.debian, paths);
    layers.push(await layout.putLayer(tar, compression));
    await Deno.remove(tar);
  }
  await layout.tag("x", await layout.putImage(layers));
  const blobs = layers.map(({ descriptor }) => layout.blobPath(descriptor.digest));

  const out = `${scratch}/out`;
  const prepare = async (): Promise<void> => {
    await run(["rm", "-rf", out]);
    await Deno.mkdir(out);
  };
  const ours: Contender = {
    name: "enroot",
    prepare,
    run: async () =>
      void await run([executable, "load", "-n", "x", `oci:${folder}:x`], {
        env: { ENROOT_DATA_PATH: out, HOME: `${scratch}/home`, ENROOT_ALLOW_SUPERUSER: "y" },
      }),
  };
  const tar: Contender = {
    name: "tar",
    prepare,
    async run() {
      for (const blob of blobs) {
        await run(["bash", "-euo", "pipefail", "-c", unpackers[compression]], {
          env: { BLOB: blob, OUT: out, SUMS: `${scratch}/sums` },
        });
      }
    },
  };
  const umoci: Contender = {
    name: "umoci",
    prepare,
    run: async () =>
      void await run(["umoci", "raw", "unpack", "--image", `${folder}:x`, `${out}/x`]),
  };
  // Debian's umoci reads no zstd.
  const contenders = [ours, tar, ...(compression === "zstd" ? [] : [umoci])];
  const times = await measure(contenders, rounds, (text) => console.error(`  ${text}`));
  const [oursMs = NaN, ...peerMs] = times.map(median);
  const peers = Object.fromEntries(
    contenders.slice(1).map((peer, index) => [peer.name, peerMs[index] ?? NaN]),
  );
  const ratios = Object.fromEntries(
    Object.entries(peers).map(([peer, time]) => [peer, oursMs / time]),
  );
  results.push({ name, ours_ms: oursMs, peers, ratios });
  for (const [peer, ratio] of Object.entries(ratios)) {
    const bound = bounds[peer];
    const isWithin = bound === undefined || ratio <= bound;
    isKept &&= isWithin;
    console.log(
      `${name.padEnd(12)} ${oursMs.toFixed(0).padStart(6)} ms  ${peer.padEnd(6)} ${
        (peers[peer] ?? NaN).toFixed(0).padStart(6)
      } ms  ${ratio.toFixed(2)}${
        bound === undefined ? "" : `  at most ${bound.toFixed(2)}  ${isWithin ? "ok" : "TOO SLOW"}`
      }`,
    );
  }
  await run(["rm", "-rf", folder, out]);
}

async function makeSource(): Promise<Source> {
  const image = await debootstrapImage((text) => console.error(text));
  const debian = `${scratch}/debian`;
  await run(["umoci", "raw", "unpack", "--image", `${image}:debian`, debian]);
  const small = `${scratch}/small`;
  for (let folder = 0; folder < 100; folder++) {
    const path = `${small}/d${folder}`;
    await Deno.mkdir(path, { recursive: true });
    for (let file = 0; file < smallFiles / 100; file++) {
      Deno.writeTextFileSync(`${path}/f${file}`, `${folder} ${file}\n`);
    }
  }
  return { debian, small };
}
