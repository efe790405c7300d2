/**
 * What is released for arm64, started on this machine: qemu emulates the processes.
 *
 * The kernel hands programs of the other machine to qemu because a user namespace of the test's own says so
 * (binfmt_misc, Linux 6.7), so nothing is registered for anybody else. The root is what a minimal Debian has: its C
 * library, libgcc_s and a shell. Starting containers is not possible in it: qemu knows neither `openat2` nor all of
 * what mounts.
 *
 * @module
 */

import { fetchDebs, fetchRuntime, runtimePackage } from "../../packaging/toolchain.ts";
import { attempt, type Result, run } from "../support/command.ts";
import { crossPackages, ensurePackages, releasePackages } from "../support/packages.ts";
import manifest from "../../deno.json" with { type: "json" };

const top = new URL("../../", import.meta.url).pathname;
const { version } = manifest;

/** How files of the other machine begin (elf(5)): their class, their kind and the machine, and what of it counts. */
const magic = "7f454c460201010000000000000000000200b700".replaceAll(/../g, "\\x$&");
const mask = "ffffffffffffff00fffffffffffffffffeffffff".replaceAll(/../g, "\\x$&");

/** Opens qemu at once, so that it need not be in the root. */
const rule = `:arm64:M::${magic}:${mask}:/usr/bin/qemu-aarch64-static:F`;

/** $1: the rule; $2: the root; then a command. What is run behind the change of roots is of the other machine. */
const enter = `set -e
rule=$1; root=$2; shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t binfmt_misc none proc
printf %s "$rule" > proc/register
mount --rbind /dev dev
mount --rbind /proc proc
pivot_root . tmp
/bin/busybox umount -l /tmp
cd /
exec "$@"`;

/** @returns what was wrong */
export async function checkArm64(): Promise<string[]> {
  if (Deno.build.arch === "aarch64") return [];
  await ensurePackages([...releasePackages, ...crossPackages]);
  const work = await Deno.makeTempDir({ prefix: "zenroot-arm64-" });
  try {
    return await check(work);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function check(work: string): Promise<string[]> {
  const dist = `${work}/dist`;
  await Deno.mkdir(`${work}/runtime`);
  const runtime = await fetchRuntime("arm64", await runtimeVersion(), `${work}/runtime`);
  const build = [`${top}packaging/package.ts`, "--fast", "--arch", "arm64", "--output", dist];
  await run([Deno.execPath(), "run", "-A", ...build, "--runtime", runtime]);
  const root = `${work}/root`;
  await Deno.mkdir(`${work}/debs`);
  const debs = await fetchDebs(["libc6", "libgcc-s1", "busybox-static"], "arm64", `${work}/debs`);
  for (const deb of [...debs, `${dist}/enroot_${version}_arm64.deb`]) {
    await run(["dpkg-deb", "--extract", deb, root]);
  }
  for (const name of ["dev", "proc", "tmp", "root"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  await Deno.copyFile(`${dist}/enroot-${version}-aarch64`, `${root}/root/alone`);
  await Deno.chmod(`${root}/root/alone`, 0o755);
  const inside = (...argv: string[]): Promise<Result> => {
    const through = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", enter, "sh"];
    return attempt(["timeout", "300", ...through, rule, root, ...argv], {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
      clearEnv: true,
    });
  };

  const wrong: string[] = [];
  const expect = async (argv: string[], pattern: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await inside(...argv);
    const isRight = code === 0 && pattern.test(stdout);
    console.log(`  ${argv.join(" ")}: ${isRight ? "ok" : "WRONG"}`);
    if (!isRight) wrong.push(`${argv.join(" ")} ended with ${code}: ${stdout}${stderr}`);
  };
  await expect(["/bin/busybox", "uname", "-m"], /^aarch64\n$/);
  const own = new RegExp(`^${RegExp.escape(version)}\\n$`);
  await expect(["/usr/bin/enroot", "version"], own);
  await expect(["/usr/bin/enroot", "info"], /^architecture=aarch64$/m);
  await expect(["/usr/bin/enroot", "list"], /^$/);
  await expect(["/root/alone", "version"], own);
  await expect(["/usr/libexec/enroot/enroot-nsenter", "--help"], /enroot-nsenter/);
  for (const name of ["enroot-nsenter", "enroot-zfs-mount"]) {
    const kind = await run(["file", `${root}/usr/libexec/enroot/${name}`]);
    if (!/ARM aarch64.*static-pie linked/.test(kind)) wrong.push(kind);
  }
  return wrong;
}

/** The version of the runtime that makes packages, or the last one before it that npm has for arm64. */
async function runtimeVersion(): Promise<string> {
  const name = runtimePackage("arm64");
  const versions: string[] = JSON.parse(await run(["npm", "view", name, "versions", "--json"]));
  const own = Deno.version.deno;
  if (versions.includes(own)) return own;
  const series = own.slice(0, own.lastIndexOf(".") + 1);
  const found = versions.findLast((each) => each.startsWith(series));
  if (found === undefined) throw new Error(`npm has no ${name} of ${series}x`);
  console.log(`  with the runtime ${found}: npm has no ${name} ${own} yet, which packages need`);
  return found;
}
