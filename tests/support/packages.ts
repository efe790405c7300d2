/**
 * The Debian packages that building and testing need, and how they come onto the machine.
 *
 * Names are those of Debian 12; the same ones hold on later releases.
 *
 * @module
 */

import { attempt } from "./command.ts";

/** Each package, by one file that proves that it is there: a program's name or a path. */
const packages = {
  "gcc": "gcc",
  "make": "make",
  "musl-tools": "musl-gcc",
  "libc6-dev": "/usr/include/stdio.h",
  "linux-libc-dev": "/usr/include/linux/mount.h",
  "binutils": "readelf",
  "file": "file",
  "git": "git",
  "squashfs-tools": "mksquashfs",
  "squashfuse": "squashfuse_ll",
  "fuse-overlayfs": "fuse-overlayfs",
  "docker-registry": "docker-registry",
  "docker.io": "dockerd",
  "podman": "podman",
  "skopeo": "skopeo",
  "umoci": "umoci",
  "buildah": "buildah",
  "debootstrap": "debootstrap",
  "busybox-static": "busybox",
  "pigz": "pigz",
  "curl": "curl",
  "zstd": "zstd",
  "libarchive-tools": "bsdtar",
  "python3": "/usr/bin/python3",
  "attr": "setfattr",
  "openssl": "openssl",
  "tmux": "tmux",
  "zsh": "zsh",
  "fish": "fish",
  "man-db": "man",
  "groff-base": "groff",
  "mandoc": "mandoc",
  "strace": "strace",
  "shellcheck": "shellcheck",
  "procps": "ps",
  "libcap2-bin": "setcap",
  "debhelper": "dh",
  "lintian": "lintian",
  "rpm": "rpmbuild",
  "xz-utils": "xz",
  "apparmor": "apparmor_parser",
  "qemu-system-x86": "qemu-system-x86_64",
  "libelf1": "/usr/lib/x86_64-linux-gnu/libelf.so.1",
  "openssh-server": "sshd",
  "munge": "munged",
  "slurmctld": "slurmctld",
  "slurmd": "slurmd",
  "slurm-client": "srun",
  "gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc",
  "linux-libc-dev-arm64-cross": "/usr/aarch64-linux-gnu/include/linux/mount.h",
  "qemu-user-static": "qemu-aarch64-static",
} as const satisfies Record<string, string>;

/** A package of the table. */
export type Package = keyof typeof packages;

/** What the build needs: the C programs and squashfs. */
export const buildPackages: readonly Package[] = [
  ...["gcc", "make", "musl-tools", "libc6-dev", "linux-libc-dev", "squashfs-tools"] as const,
];

/** What making packages needs. */
export const releasePackages: readonly Package[] = [
  ...buildPackages,
  ...["debhelper", "rpm", "xz-utils"] as const,
];

/** What the quickstart needs. */
export const quickstartPackages: readonly Package[] = [
  ...buildPackages,
  ...["docker-registry", "skopeo", "attr"] as const,
];

/** What building and booting the virtual machine with OpenZFS needs. */
export const vmPackages: readonly Package[] = [
  ...["gcc", "make", "libc6-dev", "libelf1", "openssl", "busybox-static"] as const,
  ...["qemu-system-x86", "procps"] as const,
];

/** What making packages for arm64 on another machine needs, and starting what is in them. */
export const crossPackages: readonly Package[] = [
  ...["gcc-aarch64-linux-gnu", "linux-libc-dev-arm64-cross", "qemu-user-static"] as const,
];

/** What the tests need: all others. */
export const testPackages = (Object.keys(packages) as Package[])
  .filter((name) => !crossPackages.includes(name));

/** Services that a package starts when it is installed; nothing here wants them to run. */
const services: Partial<Record<Package, readonly string[]>> = {
  "docker-registry": ["docker-registry"],
  "docker.io": ["docker.socket", "docker", "containerd"],
  "podman": ["podman.socket", "podman", "podman-auto-update.timer"],
  "openssh-server": ["ssh"],
  "munge": ["munge"],
  "slurmctld": ["slurmctld"],
  "slurmd": ["slurmd"],
};

/**
 * Make sure that these packages are there, or end the process with exit code 1.
 *
 * As root the missing ones are installed; anybody else is told their names and the command. What
 * is printed goes to stderr. Services that come with a package are stopped again.
 */
export async function ensurePackages(wanted: readonly Package[]): Promise<void> {
  let missing = await absent(wanted);
  if (missing.length === 0) return;

  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...missing];
  if (Deno.uid() !== 0) {
    console.error(`Debian packages are missing: ${missing.join(" ")}`);
    console.error(`Install them with: sudo ${install.join(" ")}`);
    Deno.exit(1);
  }

  console.error(`Installing Debian packages: ${missing.join(" ")}`);
  await apt(["apt-get", "update"]);
  await apt(install);
  for (const name of missing) {
    for (const service of services[name] ?? []) await stopService(service);
  }

  missing = await absent(wanted);
  if (missing.length > 0) {
    const proofs = missing.map((name) => `${packages[name]} of ${name}`).join(", ");
    console.error(`Debian's packages were installed, but these are still not found: ${proofs}`);
    Deno.exit(1);
  }
}

async function absent(wanted: readonly Package[]): Promise<Package[]> {
  const found = await Promise.all(wanted.map((name) => isThere(packages[name])));
  return wanted.filter((_, index) => !found[index]);
}

async function isThere(proof: string): Promise<boolean> {
  const path = proof.startsWith("/") ? [""] : (Deno.env.get("PATH") ?? "").split(":");
  // A plain user's PATH has no sbin, where debootstrap lives.
  for (const folder of proof.startsWith("/") ? path : [...path, "/usr/sbin", "/sbin"]) {
    try {
      if ((await Deno.stat(folder === "" ? proof : `${folder}/${proof}`)).isFile) return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}

/** Run apt-get so that it asks nothing, and waits for another one that is at work. */
async function apt([program, action, ...rest]: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await attempt(
    [program ?? "", "-o", "DPkg::Lock::Timeout=300", "--quiet", action ?? "", ...rest],
    // RUNLEVEL=1 keeps invoke-rc.d from starting services where sysvinit or systemd tells it.
    { env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8", RUNLEVEL: "1" } },
  ).catch((error) => ({ code: 127, stdout: "", stderr: String(error) }));
  if (code === 0) return;
  const lines = `${stdout}\n${stderr}`.trim().split("\n").slice(-15).join("\n");
  console.error(`${program} ${action} failed with exit code ${code}:\n${lines}`);
  Deno.exit(1);
}

async function stopService(name: string): Promise<void> {
  // Both fail where there is no init system, and then nothing runs either.
  if (await isThere("systemctl")) await attempt(["systemctl", "disable", name]);
  if (await isThere("service")) await attempt(["service", name, "stop"]);
}
