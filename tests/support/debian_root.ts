/**
 * A Debian to install packages in: a root filesystem of debootstrap, and commands run with it as the root.
 *
 * @module
 */

import { attempt, type Options, type Result, run } from "./command.ts";
import { debootstrapTar, type Suite } from "./debootstrap_tar.ts";

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
# What is installed here is none of the machine's own business: profiles are not for its kernel.
if [ -d sys/kernel/security ]; then mount -t tmpfs -o ro tmpfs sys/kernel/security; fi
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

  private constructor(readonly path: string, readonly suite: Suite) {}

  /** Unpack it. @param report told of what takes long */
  static async make(suite: Suite, report: (text: string) => void): Promise<DebianRoot> {
    const tar = await debootstrapTar(suite, report);
    const path = await Deno.makeTempDir({ prefix: "zenroot-debian-" });
    const root = new DebianRoot(path, suite);
    try {
      await Deno.chmod(path, 0o755);
      await run(["tar", "--extract", "--numeric-owner", "--file", tar, "--directory", path]);
      await Deno.copyFile("/etc/resolv.conf", `${path}/etc/resolv.conf`);
      // It need not outlive a power failure.
      await Deno.writeTextFile(`${path}/etc/dpkg/dpkg.cfg.d/test`, "force-unsafe-io\n");
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

  /** Run shell text as the plain user, which must succeed, for what it prints. @throws {Error} otherwise */
  async succeedAsUser(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.asUser(script);
    if (code !== 0) throw new Error(`${script} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
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
