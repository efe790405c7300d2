/**
 * What the kernel has to offer, and whether this user may have it.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { callerEnvironment } from "../process/caller.ts";
import { CommandError, run } from "../process/run.ts";
import { AT, close, O, openAt, openInRoot } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** openat2(2), and for the mount helper what tells the id of a mount: major and minor version. */
const needed = [5, 6] as const;
const neededByHelper = [5, 8] as const;

/** How long a program of a check may take, in milliseconds. */
const patience = 10_000;

/**
 * The kernel's version, and openat2(2), which filters of system calls may hide.
 *
 * @param usesHelper whether `enroot-zfs-mount` has to work, too
 */
export function checkKernel(usesHelper: boolean, release: string = Deno.osRelease()): Finding {
  const name = "kernel";
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const least = usesHelper ? neededByHelper : needed;
  if (!(major > least[0] || major === least[0] && minor >= least[1])) {
    return fail(name, `Linux ${release} is too old`, `install Linux ${least.join(".")} or newer`);
  }
  const root = openAt(AT.FDCWD, cstring("/"), O.PATH | O.DIRECTORY);
  const found = openInRoot(root, cstring("."), O.PATH);
  if (root >= 0) close(root);
  if (found < 0) {
    return fail(
      name,
      `Linux ${release}, but the system call openat2 is refused`,
      "allow openat2 in the filter (seccomp) of the container or service that this runs in",
    );
  }
  close(found);
  return ok(name, `Linux ${release}`);
}

/** Reads a switch of the kernel; `undefined` when there is none of that name. */
export type ReadSwitch = (path: string) => string | undefined;

/** Where switches are that turn user namespaces off, what they say then, and what turns them on. */
const switches: readonly (readonly [path: string, off: RegExp, remedy: string])[] = [
  ["user/max_user_namespaces", /^0$/, "run as root: sysctl -w user.max_user_namespaces=15000"],
  ["user/max_mnt_namespaces", /^0$/, "run as root: sysctl -w user.max_mnt_namespaces=15000"],
  [
    "kernel/unprivileged_userns_clone",
    /^0$/,
    "run as root: sysctl -w kernel.unprivileged_userns_clone=1",
  ],
  [
    "kernel/apparmor_restrict_unprivileged_userns",
    /^[1-9]/,
    "give the program an AppArmor profile that has 'userns,', or run as root: " +
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
  ],
];

/** What to do where no user namespace can be made. */
export function userNamespaceRemedy(read: ReadSwitch): string {
  const found = switches.find(([path, off]) => off.test(read(`/proc/sys/${path}`)?.trim() ?? ""));
  if (found !== undefined) return found[2];
  return "allow unshare, clone and mount in the filter (seccomp) of the container or service that this " +
    "runs in";
}

/** A folder that is everywhere, to mount on: within the namespaces, where nobody else sees it. */
const place = "/tmp";

/** A user namespace with a mount in it, made as a start does. */
export async function checkUserNamespaces(): Promise<Finding> {
  const name = "user namespaces";
  try {
    await inNamespaces('mount -t tmpfs none "$0"');
    return ok(name, "one was made, and mounted in");
  } catch (error) {
    return fail(name, said(error), userNamespaceRemedy(readSwitch));
  }
}

/** The kernel's overlay in a user namespace, for images that are started without being unpacked. */
export async function checkOverlay(isWanted: boolean): Promise<Finding> {
  const name = "overlay in a user namespace";
  try {
    await inNamespaces(
      'mount -t tmpfs none "$0" && cd "$0" && mkdir lower upper work merged && ' +
        "mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged",
    );
    return ok(name, "one was mounted");
  } catch (error) {
    if (!isWanted) return ok(name, "not there, and ENROOT_NATIVE_OVERLAYFS is off");
    return warn(
      name,
      said(error),
      "install Linux 5.11 or newer, or fuse-overlayfs and set ENROOT_NATIVE_OVERLAYFS=n",
    );
  }
}

/** Run a text of sh that knows the folder as `$0`, as root of new namespaces. */
async function inNamespaces(text: string): Promise<void> {
  const argv = [helperPath("enroot-nsenter"), "--user", "--mount", "--remap-root", "--"];
  await run([...argv, "/bin/sh", "-c", text, place], {
    environment: callerEnvironment(),
    signal: AbortSignal.timeout(patience),
  });
}

function said(error: unknown): string {
  const text = error instanceof CommandError ? error.stderr : "";
  const line = text.trim().replace(/^\[ERROR\] /, "").replaceAll(/\s*\n\s*/g, "; ");
  return line || reasonOf(error);
}

function readSwitch(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
