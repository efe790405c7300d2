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
 * @throws {Error} when something cannot be fetched
 */
export async function makeToolchain(architecture: Architecture, work: string): Promise<Toolchain> {
  if (architecture === ownArchitecture) {
    const musl = await run(["dpkg-query", "--show", "--showformat=${Version}", "musl-dev"]);
    return { runtime: Deno.execPath(), musl, makeArguments: [] };
  }
  const { machine } = architectures[architecture];
  const runtime = await fetchRuntime(architecture, work);
  const deb = await fetchMusl(architecture, work);
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

/** The runtime of this version, as its makers publish it. */
async function fetchRuntime(architecture: Architecture, work: string): Promise<string> {
  const name = architecture === "amd64" ? "x64" : architecture;
  const specifier = `@deno/linux-${name}-glibc@${Deno.version.deno}`;
  const archive = (await run(["npm", "pack", "--loglevel=error", specifier], { cwd: work })).trim();
  await run(["tar", "--extract", "--file", archive], { cwd: work });
  return `${work}/package/deno`;
}

/** The package of musl from the machine's own sources, in lists of their own: apt knows one machine only. */
async function fetchMusl(architecture: Architecture, work: string): Promise<string> {
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
  await run(["apt-get", ...options, "--quiet", "download", "musl-dev"], { cwd: work });
  for await (const { name } of Deno.readDir(work)) {
    if (name.startsWith("musl-dev_")) return `${work}/${name}`;
  }
  throw new Error(`apt has no musl-dev for ${architecture}`);
}
