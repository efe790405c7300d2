/**
 * RPM packages, of the same trees as those of Debian.
 *
 * @module
 */

import { architectures, run, top } from "./build.ts";
import { flavours, type PackageOptions } from "./debian.ts";
import { rpmChangelog } from "./release.ts";

/**
 * Make the packages. The trees stay as they are.
 *
 * @returns the names of their files
 * @throws {Error} with what rpmbuild said, when it fails
 */
export async function makeRpms(options: PackageOptions): Promise<string[]> {
  const { release, architecture, maintainer, trees, work, output, isFast } = options;
  const { rpm } = architectures[architecture];
  const spec = `${work}/enroot.spec`;
  const page = await Deno.readTextFile(`${top}/packaging/rpm/enroot.spec`);
  await Deno.writeTextFile(spec, page + rpmChangelog(release, maintainer));
  const names: string[] = [];
  await Promise.all(flavours.map(async (flavour) => {
    const defines = {
      _topdir: `${work}/${flavour}`,
      _rpmdir: output,
      _build_name_fmt: "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
      flavour,
      _binary_payload: isFast ? "w1.gzdio" : "w10.zstdio",
      version_of_release: release.version,
      tree: trees[flavour],
    };
    await run([
      ...["rpmbuild", "-bb", "--quiet", `--target=${rpm}-linux`],
      ...Object.entries(defines).flatMap(([name, value]) => ["--define", `${name} ${value}`]),
      spec,
    ], { env: { SOURCE_DATE_EPOCH: String(release.epoch), HOME: work } });
    const version = `${release.version}-1.${rpm}.rpm`;
    names.push(`${flavour}-${version}`, `${flavour}+caps-${version}`);
  }));
  return names.sort();
}
