/**
 * Debian packages, by debhelper.
 *
 * @module
 */

import { type Architecture, place, run, settle, top } from "./build.ts";
import { debianChangelog, type Release } from "./release.ts";

/** The flavours, by the names of their packages. */
export const flavours = ["enroot", "enroot-hardened"] as const;

/** A flavour of the program. */
export type Flavour = (typeof flavours)[number];

/** What packages are made of. */
export interface PackageOptions {
  readonly release: Release;
  readonly architecture: Architecture;
  /** `NAME <ADDRESS>` */
  readonly maintainer: string;
  /** The tree of each flavour, of {@linkcode file://./stage.ts}; it is moved. */
  readonly trees: Readonly<Record<Flavour, string>>;
  /** An empty folder, for what is made on the way. */
  readonly work: string;
  /** Where the packages go to. */
  readonly output: string;
  /** Compress in a hurry: for tests. */
  readonly isFast: boolean;
}

/**
 * Make the four packages.
 *
 * @returns the names of their files
 * @throws {Error} with what debhelper said, when it fails
 */
export async function makeDebs(options: PackageOptions): Promise<string[]> {
  const { release, architecture, maintainer, trees, work, output, isFast } = options;
  const source = `${work}/source`;
  const from = `${top}/packaging/debian`;
  const to = `${source}/debian`;
  for (const flavour of flavours) {
    await Deno.mkdir(`${source}/tree`, { recursive: true });
    await Deno.rename(trees[flavour], `${source}/tree/${flavour}`);
  }
  for (const name of ["postinst", "prerm", "triggers", "maintscript", "lintian-overrides"]) {
    for (const flavour of flavours) {
      await place(`${from}/flavour.${name}`, `${to}/${flavour}.${name}`, 0o644);
    }
  }
  for (const name of ["postinst", "prerm", "triggers", "lintian-overrides"]) {
    for (const flavour of flavours) {
      await place(`${from}/caps.${name}`, `${to}/${flavour}+caps.${name}`, 0o644);
    }
  }
  await place(`${from}/rules`, `${to}/rules`, 0o755);
  await place(`${from}/copyright`, `${to}/copyright`, 0o644);
  const control = await Deno.readTextFile(`${from}/control`);
  await Deno.writeTextFile(`${to}/control`, control.replace("@MAINTAINER@", () => maintainer));
  await Deno.writeTextFile(`${to}/changelog`, debianChangelog(release, maintainer));
  await settle(source, release.epoch);

  await run(
    // The compilers of another architecture need not be there: everything is compiled by now.
    ["dpkg-buildpackage", "--build=binary", "--no-sign", "--no-check-builddeps", "--jobs=2"]
      .concat(`--host-arch=${architecture}`),
    {
      cwd: source,
      env: {
        SOURCE_DATE_EPOCH: String(release.epoch),
        // Of more than one thread xz makes something else; smaller takes four times as long.
        COMPRESSION: isFast ? "-Zgzip -z1" : "-Zxz -z1 --threads-max=1",
      },
    },
  );
  const names = flavours.flatMap((flavour) => [flavour, `${flavour}+caps`])
    .map((name) => `${name}_${release.version}_${architecture}.deb`);
  for (const name of names) await Deno.rename(`${work}/${name}`, `${output}/${name}`);
  return names;
}
