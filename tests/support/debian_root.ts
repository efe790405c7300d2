/**
 * A Debian to install packages in: a root filesystem of debootstrap, and commands run with it as the root.
 *
 * @module
 */

import { debootstrapImage } from "./debootstrap_image.ts";
import { attempt, type Options, type Result, run } from "./command.ts";

/**
 * What gives a command a root of its own. A change of root by chroot(2) alone would keep it from making user
 * namespaces. The mounts are in a namespace that ends with the command.
 */
const enter = `set -e
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
for folder in tmp run; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
pivot_root . .
umount -l .
cd /
exec "$@"`;

/** The number of {@linkcode DebianRoot.user}. */
const plainUid = 4242;

/** A Debian of its own, see the module. Disposing of it removes it. Needs root. */
export class DebianRoot implements AsyncDisposable {
  /** A plain user in it, with a home. */
  readonly user = "someone";

  private constructor(readonly path: string) {}

  /** Unpack it. @param report told of what takes long */
  static async make(report: (text: string) => void): Promise<DebianRoot> {
    const layers = await layersOf(await debootstrapImage(report));
    const path = await Deno.makeTempDir({ prefix: "zenroot-debian-" });
    const root = new DebianRoot(path);
    try {
      await Deno.chmod(path, 0o755);
      for (const layer of layers) {
        await run(["tar", "--extract", "--gzip", "--file", layer, "--directory", path]);
      }
      await Deno.copyFile("/etc/resolv.conf", `${path}/etc/resolv.conf`);
      await root.run(["useradd", "--create-home", "--uid", String(plainUid), root.user]);
      return root;
    } catch (error) {
      await root[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Run a command as root in it. */
  attempt(argv: readonly string[], options: Options = {}): Promise<Result> {
    return attempt(
      ["unshare", "--mount", "--propagation=private", "sh", "-c", enter, "sh", this.path, ...argv],
      { env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" }, ...options },
    );
  }

  /** Run a command that must succeed, for what it prints. @throws {Error} with what it said otherwise */
  async run(argv: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(argv);
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** Run shell text as the plain user, in his home. */
  asUser(script: string): Promise<Result> {
    const id = String(plainUid);
    const become = ["setpriv", `--reuid=${id}`, `--regid=${id}`, "--clear-groups", "env", "-i"];
    const variables = [`HOME=/home/${this.user}`, `USER=${this.user}`, "PATH=/usr/bin:/bin"];
    return this.attempt([...become, ...variables, "bash", "-c", `cd && ${script}`]);
  }

  /** All files but those that the package manager keeps for itself. */
  async files(): Promise<string[]> {
    const own = [
      "./var/lib/dpkg",
      "./var/lib/apt",
      "./var/cache",
      "./var/log",
      "./etc/ld.so.cache",
    ];
    const list = await run(
      ["find", ".", ...own.flatMap((path) => ["-path", path, "-prune", "-o"]), "-print"],
      { cwd: this.path },
    );
    return list.trimEnd().split("\n").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** The paths of the layers of a layout's only image, the lowest first. */
async function layersOf(layout: string): Promise<string[]> {
  const read = async (path: string): Promise<Record<string, { digest: string }[]>> =>
    JSON.parse(await Deno.readTextFile(`${layout}/${path}`));
  const pathOf = ({ digest }: { digest: string }): string => `blobs/${digest.replace(":", "/")}`;
  const [manifest] = (await read("index.json"))["manifests"] ?? [];
  const { layers = [] } = manifest === undefined ? {} : await read(pathOf(manifest));
  if (layers.length === 0) throw new Error(`${layout} has no image`);
  return layers.map((layer) => `${layout}/${pathOf(layer)}`);
}
