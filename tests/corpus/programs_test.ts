import { assert, assertEquals } from "@std/assert";
import { run, runForBytes } from "../support/command.ts";
import { OciLayout } from "../support/oci_layout.ts";
import { assertSameTree, describeTree, type Entry } from "../support/tree.ts";
import type { Bytes, Layer } from "./corpus.ts";
import { compare, Place, withUmoci, withUs } from "./engines.ts";

/** A program that writes archives, and what its format has room for. */
interface Program {
  readonly argv: readonly string[];
  /** Names of more than 255 bytes, and owners beyond 2,097,151. */
  readonly long?: true;
  /** Times to the nanosecond: Python has floating-point ones, and Go's are of whole seconds here. */
  readonly nanoseconds?: true;
  readonly xattrs?: true;
  /** What umoci does instead. */
  readonly umoci?: string;
}

const gnu = (...options: string[]): string[] => [
  ...["tar", ...options, "--numeric-owner", "--sort=name", "-cf", "-", "."],
];
const bsd = (...options: string[]): string[] => ["bsdtar", ...options, "-cf", "-", "."];
const python = (format: string): string[] => [
  ...["/usr/bin/python3", "-c"],
  "import sys, tarfile\n" +
  `with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.${format}_FORMAT) as tar:\n` +
  "    tar.add('.')\n",
];
const paxXattrs = ["--format=pax", "--xattrs", "--xattrs-include=user.*"];
const noSparse = "Refuses old GNU tar's type of sparse files.";

const programs: Readonly<Record<string, Program>> = {
  "GNU tar, pax": { argv: gnu(...paxXattrs), long: true, nanoseconds: true, xattrs: true },
  "GNU tar, pax, sparse 0.0": {
    argv: gnu(...paxXattrs, "--sparse", "--sparse-version=0.0"),
    ...{ long: true, nanoseconds: true, xattrs: true },
  },
  "GNU tar, pax, sparse 0.1": {
    argv: gnu(...paxXattrs, "--sparse", "--sparse-version=0.1"),
    ...{ long: true, nanoseconds: true, xattrs: true },
  },
  "GNU tar, pax, sparse 1.0": {
    argv: gnu(...paxXattrs, "--sparse", "--sparse-version=1.0"),
    ...{ long: true, nanoseconds: true, xattrs: true },
  },
  "GNU tar, gnu": { argv: gnu("--format=gnu"), long: true },
  "GNU tar, gnu, sparse": { argv: gnu("--format=gnu", "--sparse"), long: true, umoci: noSparse },
  "GNU tar, oldgnu": { argv: gnu("--format=oldgnu"), long: true },
  "GNU tar, ustar": { argv: gnu("--format=ustar") },
  "GNU tar, v7": { argv: gnu("--format=v7") },
  "bsdtar, pax": {
    argv: bsd("--format=pax"),
    ...{ long: true, nanoseconds: true, xattrs: true },
  },
  "bsdtar, gnutar": { argv: bsd("--format=gnutar"), long: true },
  "bsdtar, ustar": { argv: bsd("--format=ustar") },
  "Python, pax": { argv: python("PAX"), long: true },
  "Python, GNU": { argv: python("GNU"), long: true },
  "Python, ustar": { argv: python("USTAR") },
  "busybox": { argv: ["busybox", "tar", "-cf", "-", "."] },
};

/** A tree with what the format of a program has room for. */
async function makeTree(
  folder: string,
  { argv, long, nanoseconds, xattrs }: Program,
): Promise<void> {
  const isV7 = argv.includes("--format=v7");
  const script = String.raw`
    umask 022
    printf one > one; ln one two; ln one three; : > empty; printf 'é' > 'grüße 日本'
    head -c 100000 /dev/zero | tr '\0' x > large; printf s > set-id; chmod 6755 set-id
    mkdir -p d/e/f sticky closed; chmod 1777 sticky; printf c > closed/file; chmod 0 closed closed/file
    ln -s one symlink; ln -s nowhere dangling; ln -s / absolute
    printf n > $'new\nline'; printf b > 'back\slash'; printf - > ' space '; printf x > $'\xff\xfe'
    truncate -s 1M holes; printf middle | dd of=holes bs=1 seek=500000 conv=notrunc status=none
    printf end >> holes; truncate -s 200000 hole
    name=$(printf 'n%.0s' $(seq 90)); printf 99 > "$name"
    ${isV7 ? "" : "mkfifo pipe; mknod null c 1 3; mkdir -p d/$name; printf p > d/$name/$name"}
    chown 1000:1001 one; chown -h 5:6 symlink
    ${
    long === undefined ? "" : String.raw`
      mkdir -p "long/$name/$name/$name"
      printf l > "long/$name/$name/$name/$name"; ln "long/$name/$name/$name/$name" z-hard-link
      ln -s "$name/$name/$name/$name" long/symlink; chown 3000000000:4000000 empty`
  }
    ${xattrs === undefined ? "" : "setfattr -n user.text -v value one; setfattr -n user.d -v 1 d"}
    find . -depth -exec touch --no-dereference -d @1500000000${
    nanoseconds ? ".123456789" : ""
  } {} +`;
  await run(["bash", "-euc", script], { cwd: folder });
}

for (const [name, program] of Object.entries(programs)) {
  Deno.test({
    name: `the tree that ${name} wrote comes back as it was`,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      using place = new Place();
      const source = place.root("source");
      await makeTree(source, program);
      const archive = await runForBytes(program.argv, { cwd: source });
      await sameTree(place, source, archive, program.umoci);
    },
  });
}

Deno.test({
  name: "the tree that umoci wrote, with Go's archive/tar, comes back as it was",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using place = new Place();
    const source = place.root("source");
    const program = { argv: [], long: true, xattrs: true } as const;
    await makeTree(source, program);
    const layout = await OciLayout.create(`${place.top}/written`);
    await layout.tag("image", await layout.putImage([]));
    await run(["umoci", "insert", "--image", `${layout.path}:image`, source, "/"]);
    const layer = await soleLayer(layout);
    await sameTree(place, source, await runForBytes(["gzip", "-dc", layer]));
  },
});

/** The archive gives the tree that it was made of, with us and with umoci. */
async function sameTree(
  place: Place,
  source: string,
  archive: Bytes,
  remark?: string,
): Promise<void> {
  const layers: Layer[] = [archive];
  const ours = await withUs(place, layers);
  assert("tree" in ours, JSON.stringify(ours));
  const expected = await describeTree(source, { owners: true, nanoseconds: true });
  assertSameTree(
    belowRoot(ours.tree),
    belowRoot(expected),
    "what comes back is not what was written",
  );
  const differences = compare(ours, await withUmoci(place, layers));
  if (remark === undefined) assertEquals(differences, [], "umoci does something else");
  else assert(differences.length > 0, "umoci does the same: the remark on it is not true");
}

/** Not every program writes the root folder. */
function belowRoot(tree: readonly Entry[]): Entry[] {
  return tree.filter(({ path }) => path !== ".");
}

async function soleLayer(layout: OciLayout): Promise<string> {
  const read = async (path: string): Promise<Record<string, { digest: string }[]>> =>
    JSON.parse(await Deno.readTextFile(path));
  const [manifest] = (await read(`${layout.path}/index.json`)).manifests ?? [];
  assert(manifest);
  const [layer] = (await read(layout.blobPath(manifest.digest))).layers ?? [];
  assert(layer);
  return layout.blobPath(layer.digest);
}
