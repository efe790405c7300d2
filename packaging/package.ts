/**
 * `deno task package`: makes everything that is released, in `dist/`.
 *
 * Debian packages and RPM packages of both flavours, the archive, the executable by itself, the bill of
 * materials, and the checksums of all of them. The same checkout and the same `SOURCE_DATE_EPOCH` make the
 * same bytes, given the same compiler and C library; without the variable it is the date of the version.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { makeArchive } from "./archive.ts";
import { type Architecture, architectures, run, top } from "./build.ts";
import { makeContents, withHelpers } from "./compile.ts";
import { type Flavour, flavours, makeDebs } from "./debian.ts";
import { makeExtras } from "./extras.ts";
import { describeRelease, type Release } from "./release.ts";
import { ensurePackages, releasePackages } from "../tests/support/packages.ts";
import { defaultMaintainer, maintainerOf } from "./maintainer.ts";
import { makeRpms } from "./rpm.ts";
import { describeSbom, lockedPackages } from "./sbom.ts";
import { stage } from "./stage.ts";
import { makeToolchain, ownArchitecture, type Toolchain } from "./toolchain.ts";
import manifest from "../deno.json" with { type: "json" };

/** What can be made. */
export const formats = ["deb", "rpm", "archive"] as const;

/** How to make packages. */
export interface ReleaseOptions {
  /** Where to; it is made when it is not there. */
  readonly output: string;
  /** All of them by default. */
  readonly formats?: readonly (typeof formats)[number][];
  /** The value of `SOURCE_DATE_EPOCH`. */
  readonly epoch?: string | undefined;
  /** For which machine; this one by default. */
  readonly architecture?: Architecture | undefined;
  /** The runtime for the machine, of the version that makes this; by default this one, or npm's. */
  readonly runtime?: string | undefined;
  /** Whom packages name, as `NAME <ADDRESS>`; nobody in particular by default. */
  readonly maintainer?: string;
  /** Compress in a hurry: for tests. */
  readonly isFast?: boolean;
}

/**
 * Make what is released.
 *
 * @returns the names of the files in the output folder
 * @throws {Error} when a program that is needed fails; nothing of what is made on the way stays
 */
export async function makeRelease(options: ReleaseOptions): Promise<string[]> {
  const { output, formats: wanted = formats, isFast = false, architecture = ownArchitecture } =
    options;
  const { maintainer = defaultMaintainer } = options;
  const changelog = await Deno.readTextFile(`${top}/docs/changelog.md`);
  const release = describeRelease(manifest.version, changelog, options.epoch);
  await Deno.mkdir(output, { recursive: true });
  // Beside the output: what is made is moved there, and it is too much for a /tmp in memory.
  const work = await Deno.makeTempDir({ dir: output, prefix: ".making-" });
  try {
    const folder = async (name: string): Promise<string> => {
      await Deno.mkdir(`${work}/${name}`);
      return `${work}/${name}`;
    };
    const tools = await makeToolchain(architecture, await folder("tools"), options.runtime);
    const program = await makeContents(await folder("program"), tools.runtime);
    const extras = await makeExtras(new Date(release.epoch * 1000).toISOString().slice(0, 10));
    const common = { release, architecture, maintainer, output, isFast } as const;
    const names: string[] = [];
    const trees = { "enroot": `${work}/standard/tree`, "enroot-hardened": `${work}/hardened/tree` };
    for (const flavour of flavours) {
      const programs = trees[flavour].replace(/tree$/, "programs");
      await makeHelpers(flavour, programs, tools);
      const its = { contents: withHelpers(program, programs), programs, extras };
      await stage(trees[flavour], { ...its, epoch: release.epoch });
      if (flavour === "enroot" && wanted.includes("archive")) {
        names.push(...await makeArchive({ ...common, ...its, work: await folder("archive") }));
      }
    }
    if (wanted.includes("rpm")) {
      names.push(...await makeRpms({ ...common, trees, work: await folder("rpm") }));
    }
    // The last: it takes the trees.
    if (wanted.includes("deb")) {
      names.push(...await makeDebs({ ...common, trees, work: await folder("deb") }));
    }
    const { machine } = architectures[architecture];
    const bill = `enroot-${release.version}-${machine}.cdx.json`;
    await Deno.writeTextFile(`${output}/${bill}`, await sbom(release, architecture, tools));
    names.push(bill);
    const sums = await run(["sha256sum", "--", ...names.sort()], { cwd: output });
    await Deno.writeTextFile(`${output}/SHA256SUMS-${machine}`, sums);
    return [...names, `SHA256SUMS-${machine}`];
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function makeHelpers(
  flavour: Flavour,
  folder: string,
  { makeArguments }: Toolchain,
): Promise<void> {
  const flags = flavour === "enroot-hardened" ? "-DENROOT_HARDENED" : "";
  await Deno.mkdir(folder, { recursive: true });
  const settings = [`BUILD=${folder}`, `CPPFLAGS=${flags}`, ...makeArguments];
  await run(["make", "-s", "-C", `${top}/helper`, ...settings]);
}

async function sbom(
  release: Release,
  architecture: Architecture,
  { runtime, musl }: Toolchain,
): Promise<string> {
  const [sha256 = ""] = (await run(["sha256sum", "--", runtime])).split(" ");
  return await describeSbom({
    version: release.version,
    architecture,
    epoch: release.epoch,
    runtime: { deno: Deno.version.deno, v8: Deno.version.v8, sha256 },
    musl,
    packages: lockedPackages(await Deno.readTextFile(`${top}/deno.lock`)),
  });
}

if (import.meta.main) {
  const { output = `${top}/dist`, arch = ownArchitecture, runtime, fast: isFast = false } =
    parseArgs(Deno.args, { string: ["output", "arch", "runtime"], boolean: ["fast"] }) as {
      output?: string;
      arch?: string;
      runtime?: string;
      fast?: boolean;
    };
  if (arch !== "amd64" && arch !== "arm64") {
    console.error(`--arch is amd64 or arm64, not '${arch}'`);
    Deno.exit(1);
  }
  await ensurePackages(releasePackages);
  const begun = performance.now();
  const names = await makeRelease({
    output,
    epoch: Deno.env.get("SOURCE_DATE_EPOCH"),
    runtime,
    maintainer: maintainerOf(Deno.env.toObject()),
    isFast,
    architecture: arch,
  });
  for (const name of names) {
    const { size } = await Deno.stat(`${output}/${name}`);
    console.log(`${(size / 2 ** 20).toFixed(1).padStart(6)} MiB  ${output}/${name}`);
  }
  console.log(`Made ${names.length} files in ${Math.round((performance.now() - begun) / 1000)} s`);
}
