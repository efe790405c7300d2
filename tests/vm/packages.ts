/**
 * Debian packages that are unpacked rather than installed: fetched by apt with sources, lists and
 * a cache of their own, so that the machine's own configuration stays as it is.
 *
 * @module
 */

import { run } from "../support/command.ts";
import { debianMirror } from "../support/debian_mirror.ts";

const release = "bookworm";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Where a package is taken from: the release as it is, or what was ported back to it later. */
export type Suite = "bookworm" | "bookworm-backports";

/** A package's fields, by their lower-case names. */
type Fields = ReadonlyMap<string, string>;

/** Debian's archive, as of when it was opened. */
export class DebianArchive {
  readonly #folder: string;
  readonly #signal: AbortSignal;

  private constructor(folder: string, signal: AbortSignal) {
    this.#folder = folder;
    this.#signal = signal;
  }

  /**
   * Fetch the lists of packages, from the mirror that this machine uses.
   *
   * @param folder an empty folder of the caller's own, for lists and package files
   * @param signal ends what is under way here
   * @throws {Error} when no mirror is known or it cannot be reached
   */
  static async open(folder: string, signal: AbortSignal): Promise<DebianArchive> {
    const archive = new DebianArchive(folder, signal);
    const mirror = await debianMirror(release);
    const options = `[arch=amd64 signed-by=${keyring}]`;
    for (const part of ["lists/partial", "archives/partial"]) {
      await Deno.mkdir(`${folder}/${part}`, { recursive: true });
    }
    await Deno.writeTextFile(
      `${folder}/sources.list`,
      `deb ${options} ${mirror} ${release} main\n` +
        // OpenZFS is in contrib.
        `deb ${options} ${mirror} ${release}-backports main contrib\n`,
    );
    await run(["apt-get", ...archive.#options, "--quiet", "update"], { env: environment, signal });
    return archive;
  }

  /** The version of a package. @throws {Error} when there is none of this name */
  async version(name: string, suite: Suite): Promise<string> {
    return (await this.#fields(name, suite)).get("version") ?? "";
  }

  /** The names of the packages that a package depends on, without versions and alternatives. */
  async dependencies(name: string, suite: Suite): Promise<string[]> {
    const list = (await this.#fields(name, suite)).get("depends") ?? "";
    return list.split(",").map((each) => /[a-z0-9][a-z0-9+.-]*/.exec(each)?.[0] ?? "");
  }

  /** Fetch packages and unpack them, one over the other, into a folder. */
  async unpack(names: readonly string[], suite: Suite, target: string): Promise<void> {
    const files = await Deno.makeTempDir({ dir: this.#folder });
    await run(
      ["apt-get", ...this.#options, "download", ...names.map((name) => `${name}/${suite}`)],
      { cwd: files, env: environment, signal: this.#signal },
    );
    await Deno.mkdir(target, { recursive: true });
    for await (const { name } of Deno.readDir(files)) {
      await run(["dpkg-deb", "--extract", `${files}/${name}`, target], { signal: this.#signal });
    }
  }

  async #fields(name: string, suite: Suite): Promise<Fields> {
    const text = await run(
      ["apt-cache", ...this.#options, "show", "--no-all-versions", `${name}/${suite}`],
      { env: environment },
    );
    return new Map(
      [...text.matchAll(/^([\w-]+): (.*)$/gm)].map(([, key = "", value = ""]) => [
        key.toLowerCase(),
        value,
      ]),
    );
  }

  get #options(): string[] {
    const folder = this.#folder;
    return [
      `Dir::Etc::SourceList=${folder}/sources.list`,
      "Dir::Etc::SourceParts=/dev/null",
      "Dir::Etc::Preferences=/dev/null",
      "Dir::Etc::PreferencesParts=/dev/null",
      `Dir::State::Lists=${folder}/lists`,
      `Dir::Cache=${folder}`,
      // The folder is under a home that apt's own user may not enter.
      "APT::Sandbox::User=root",
    ].flatMap((option) => ["-o", option]);
  }
}

const environment = { LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" };
