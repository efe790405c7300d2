/**
 * What packages for a machine are built with: its runtime, and a compiler for the helpers.
 *
 * @module
 */

import { type Architecture, architectures, run } from "./build.ts";

/** What to build with. */
export interface Toolchain {
  /** The program that is the runtime on the machine. */
  readonly runtime: string;
  /** The version of musl, which is in the helpers. */
  readonly musl: string;
  /** What `make` is told. */
  readonly makeArguments: readonly string[];
}

/** This machine, by Debian's name. */
export const ownArchitecture: Architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

/**
 * What is needed to build for a machine. For another one than this, Debian's cross compiler must be there
 * (`gcc-aarch64-linux-gnu` and `linux-libc-dev-arm64-cross`); the runtime comes by npm, musl by apt.
 *
 * @param work an empty folder, for what is fetched
 * @param given the runtime of this version for that machine, where npm is not to be asked
 * @throws {Error} when something cannot be fetched
 */
export async function makeToolchain(
  architecture: Architecture,
  work: string,
  given?: string,
): Promise<Toolchain> {
  if (architecture === ownArchitecture) {
    const musl = await run(["dpkg-query", "--show", "--showformat=${Version}", "musl-dev"]);
    return { runtime: given ?? Deno.execPath(), musl, makeArguments: [] };
  }
  const { machine } = architectures[architecture];
  const runtime = given ?? await fetchRuntime(architecture, Deno.version.deno, work);
  const [deb = ""] = await fetchDebs(["musl-dev"], architecture, work);
  const root = `${work}/musl`;
  await run(["dpkg-deb", "--extract", deb, root]);
  const musl = await run(["dpkg-deb", "--show", "--showformat=${Version}", deb]);

  // As musl-gcc does it, with the paths that it has here.
  const library = `${root}/usr/lib/${machine}-linux-musl`;
  const specs = await Deno.readTextFile(`${library}/musl-gcc.specs`);
  await Deno.writeTextFile(`${work}/specs`, specs.replaceAll("/usr/", `${root}/usr/`));
  return {
    runtime,
    musl,
    makeArguments: [
      `ARCH=${machine}`,
      `MUSL=${library}`,
      `MUSL_GCC=${machine}-linux-gnu-gcc -specs ${work}/specs`,
      `KERNEL=-idirafter /usr/${machine}-linux-gnu/include`,
    ],
  };
}

/** The package of npm that the runtime for a machine is in. */
export function runtimePackage(architecture: Architecture): string {
  return `@deno/linux-${architecture === "amd64" ? "x64" : architecture}-glibc`;
}

/**
 * The runtime, as its makers publish it.
 *
 * @param work a folder, for the archive and what is in it
 * @returns the path of the program
 * @throws {Error} with what npm said, when it has no such version
 */
export async function fetchRuntime(
  architecture: Architecture,
  version: string,
  work: string,
): Promise<string> {
  const specifier = `${runtimePackage(architecture)}@${version}`;
  const archive = (await run(["npm", "pack", "--loglevel=error", specifier], { cwd: work })).trim();
  await run(["tar", "--extract", "--file", archive], { cwd: work });
  return `${work}/package/deno`;
}

/**
 * Packages of this machine's release for a machine, from its own sources.
 *
 * apt has lists of its own for that: it knows one machine only.
 *
 * @param work an empty folder, for those and for the packages
 * @returns the paths of the packages, in the same order
 * @throws {Error} when apt has one of them not
 */
export async function fetchDebs(
  names: readonly string[],
  architecture: Architecture,
  work: string,
): Promise<string[]> {
  const state = `${work}/apt`;
  await Deno.mkdir(`${state}/lists/partial`, { recursive: true });
  await Deno.mkdir(`${state}/cache/archives/partial`, { recursive: true });
  await Deno.writeTextFile(`${state}/status`, "");
  const settings = {
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "APT::Sandbox::User": "root",
    "Dir::State": state,
    "Dir::State::status": `${state}/status`,
    "Dir::Cache": `${state}/cache`,
    "Acquire::Languages": "none",
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  await run(["apt-get", ...options, "--quiet", "update"]);
  await run(["apt-get", ...options, "--quiet", "download", ...names], { cwd: work });
  const files = (await Array.fromAsync(Deno.readDir(work))).map(({ name }) => name);
  return names.map((name) => {
    const file = files.find((each) => each.startsWith(`${name}_`));
    if (file === undefined) throw new Error(`apt has no ${name} for ${architecture}`);
    return `${work}/${file}`;
  });
}
