/**
 * The second stage of a start, inside the namespaces: mounts, the new root, and the command.
 *
 * It is started in every job, so it imports nothing that costs time.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { callerEnvironment, callerState } from "../process/caller.ts";
import { AT, close, O, openAt } from "../sys/at.ts";
import { execve, restoreCallerState } from "../sys/exec.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { changeFolder, mount, MS, pivotRoot, unshareCgroup } from "../sys/mount.ts";
import { dropCapabilities, setNoNewPrivileges } from "../sys/privileges.ts";
import { invocationOf } from "./command.ts";
import { addEnvironmentFile, addEnvironmentOption } from "./environ.ts";
import { type MountEntry, parseFstab, parseMountOption } from "./fstab.ts";
import { mountEntry, remount } from "./mounts.ts";
import { ownEntries } from "./own_fstab.ts";
import type { Plan } from "./plan.ts";
import { lockRootfsFile } from "./rootfs_lock.ts";
import { Rootfs } from "../sys/rootfs.ts";
import { addLoginEnvironment, type ContainerUser, userOf } from "./user.ts";

/**
 * Carry out a plan: this process becomes the container's command.
 *
 * @param descriptor of the plan; closed on the way
 * @param warn told of mounts that are done without
 * @throws {EnrootError} when it cannot; otherwise it never returns
 */
export function enter(descriptor: number, warn: (message: string) => void): never {
  const plan = readPlan(descriptor);
  const host = callerEnvironment();
  const variables = { ...host, ENROOT_PID: String(Deno.pid), ENROOT_ROOTFS: plan.rootfs };

  const environment = new Map<string, string>();
  let user: ContainerUser;
  let hasRc: boolean;
  {
    // Opened before anything is mounted over it or in it, this shows the root folder and nothing else.
    using bare = new Rootfs(plan.rootfs);
    mountRootfs(bare, plan);
    using rootfs = new Rootfs(plan.rootfs);
    using _lock = lockRootfs(rootfs, plan, warn);
    addEnvironmentFile(environment, rootfs.readText("/etc/environment") ?? "", variables);
    for (const { text } of plan.environmentFiles) addEnvironmentFile(environment, text, variables);
    for (const { isOwn, ...entry } of mountsOf(plan, rootfs, variables, warn)) {
      mountEntry({ rootfs, sources: isOwn ? bare : rootfs }, entry, warn);
    }
    for (const option of plan.environmentOptions) addEnvironmentOption(environment, option, host);
    if (plan.rc !== undefined) replaceRc(rootfs, plan, plan.rc);
    hasRc = rootfs.fileMode("/etc/rc") !== undefined;
    user = userOf(Deno.uid() ?? 0, (path) => rootfs.readText(path), host["USER"] ?? "user");
    addLoginEnvironment(environment, user, Deno.uid() === 0, (path) => rootfs.readText(path));
  }
  if (!plan.writable) remount(plan.rootfs, MS.RDONLY, 0, plan.rootfs);
  pivotRoot(plan.rootfs);
  unshareCgroup();
  setNoNewPrivileges();
  if (!plan.remapRoot) dropCapabilities();
  become(plan, environment, user, hasRc);
}

/** The command, once the container's root is the root. */
function become(
  plan: Plan,
  environment: ReadonlyMap<string, string>,
  user: ContainerUser,
  hasRc: boolean,
): never {
  const shell = isExecutable(user.shell) ? user.shell : "/bin/sh";
  const { path, argv } = invocationOf(plan.command, {
    shell,
    loginShell: plan.loginShell,
    hasRc,
    fileMode,
  });
  if (!isExecutable(path)) {
    throw new EnrootError("no-shell", `the container has no shell: ${path} cannot be executed`);
  }
  try {
    changeFolder(environment.get("HOME") ?? "/");
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    changeFolder("/");
  }
  restoreCallerState(new Set(plan.ignoredSignals), plan.softNofile);
  for (const descriptor of callerState().programs.values()) close(descriptor);
  execve(path, argv, Object.fromEntries(environment));
}

function readPlan(descriptor: number): Plan {
  // Opened anew, the file is read from its beginning.
  const text = Deno.readTextFileSync(`/proc/self/fd/${descriptor}`);
  close(descriptor);
  return JSON.parse(text);
}

/** A tmpfs on the runtime path, and the root folder on itself. */
function mountRootfs(bare: Rootfs, { rootfs, runtimePath }: Plan): void {
  const covered = Deno.realPathSync(runtimePath);
  const place = Deno.realPathSync(rootfs);
  mount({
    source: "tmpfs",
    target: runtimePath,
    type: "tmpfs",
    flags: MS.NOSUID | MS.NODEV,
    data: "mode=0700",
  });
  // The data path may be below the runtime path, as it is without a home.
  if (place.startsWith(`${covered}/`)) Deno.mkdirSync(place, { recursive: true });
  bare.with(".", (path) => {
    mount({ source: path, target: rootfs, flags: MS.BIND | MS.REC });
  });
  remount(rootfs, MS.NOSUID | MS.NODEV, 0, rootfs);
}

/** A mount, and whether it is the container's own file that asks for it. */
type OrderedMount = MountEntry & { readonly isOwn: boolean };

/** The mounts in their order: pass -1 first, then by pass; within a pass as they stand. */
function mountsOf(
  plan: Plan,
  rootfs: Rootfs,
  variables: Readonly<Record<string, string>>,
  warn: (message: string) => void,
): OrderedMount[] {
  const own = parseFstab(
    rootfs.readText("/etc/fstab") ?? "",
    variables,
    "/etc/fstab of the container",
  );
  const from = (isOwn: boolean, entries: readonly MountEntry[]): OrderedMount[] =>
    entries.map((entry) => ({ ...entry, isOwn }));
  const entries = [
    ...plan.mountFiles.flatMap(({ path, text }) => from(false, parseFstab(text, variables, path))),
    ...from(true, ownEntries(own, plan.rootfs, warn)),
    ...from(false, plan.mountOptions.map((option) => parseMountOption(option, variables))),
  ];
  return entries
    .map((entry, index) => ({ entry, index }))
    .sort((a, b) => a.entry.pass - b.entry.pass || a.index - b.index)
    .map(({ entry }) => entry);
}

/** Starts of one container make their mount points one after the other. */
function lockRootfs(rootfs: Rootfs, plan: Plan, warn: (message: string) => void): Disposable {
  const path = `${plan.rootfs}/.lock`;
  const flags = O.RDWR | O.CREAT | O.NOFOLLOW;
  const file = openAt(AT.FDCWD, cstring(path), flags, 0o644);
  // A root folder on a medium that cannot be written has nothing to be made in either.
  if (file < 0) return { [Symbol.dispose]() {} };
  lockRootfsFile(file, { path, warn });
  rootfs.with("/.lock", (path) => {
    mount({ source: path, target: path, flags: MS.BIND });
  });
  rootfs.with("/.lock", (path) => remount(path, MS.RDONLY, 0, "/.lock"));
  return { [Symbol.dispose]: () => close(file) };
}

function replaceRc(rootfs: Rootfs, plan: Plan, text: string): void {
  const file = `${plan.runtimePath}/rc`;
  try {
    Deno.writeTextFileSync(file, text, { mode: 0o755 });
  } catch (error) {
    throw new EnrootError("cannot-write", `cannot write ${file}: ${reasonOf(error)}`);
  }
  rootfs.create("/etc/rc", "file");
  rootfs.with(
    "/etc/rc",
    (path) => mount({ source: file, target: path, flags: MS.BIND }, "/etc/rc"),
  );
}

function isExecutable(path: string): boolean {
  return ((fileMode(path) ?? 0) & 0o111) !== 0;
}

function fileMode(path: string): number | undefined {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile ? mode ?? 0 : undefined;
  } catch {
    return undefined;
  }
}
