/**
 * The second stage of a start, inside the namespaces: mounts, the new root, and the command.
 *
 * It is started in every job, so it imports nothing that costs time.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { callerEnvironment, callerState } from "../process/caller.ts";
import { AT, close, E, O, openAt } from "../sys/at.ts";
import { restoreCallerState } from "../sys/exec.ts";
import { bindMount } from "../sys/bind_mount.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { changeFolder, mount, MS, pivotRoot, unshareCgroup } from "../sys/mount.ts";
import { executeSealed, sealProgram } from "../sys/sealed_program.ts";
import { addHostUser, remappedRoot } from "./add_host_user.ts";
import { invocationOf } from "./command.ts";
import type { Variables } from "./hooks.ts";
import { MountOrder, type StartMount } from "./mount_order.ts";
import { mountEntry, remount } from "./mounts.ts";
import type { Plan } from "./plan.ts";
import { prepare } from "./prepare.ts";
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
  // While the file can still be seen.
  const executor = sealProgram(helperPath("enroot-nsenter"));
  const host = callerEnvironment();
  const variables = variablesOf(plan, host);
  let environment: ReadonlyMap<string, string>;
  let user: ContainerUser;
  let hasRc: boolean;
  {
    // Opened before anything is mounted over it or in it, this shows the root folder and nothing else.
    using bare = new Rootfs(plan.rootfs);
    mountRootfs(bare, plan);
    using rootfs = new Rootfs(plan.rootfs);
    using _lock = lockRootfs(rootfs, plan, warn);
    const mountAll = (mounts: readonly StartMount[]): void => {
      for (const { isOwn, ...entry } of mounts) {
        mountEntry({ rootfs, sources: isOwn ? bare : rootfs }, entry, warn);
      }
    };
    const order = new MountOrder(plan, rootfs.readText("/etc/fstab") ?? "", variables, warn);
    const ofImage = rootfs.readText("/etc/environment") ?? "";
    mountAll(order.before());
    const prepared = prepare(plan, ofImage, variables, host);
    mountAll(order.after(prepared));
    const known = plan.remapRoot ? remappedRoot : plan.user;
    if (known !== undefined) addHostUser(rootfs, known, plan.runtimePath, warn);
    if (prepared.rc !== undefined) replaceRc(rootfs, plan, prepared.rc);
    // An empty one is what replacing it made, in a container that has none.
    hasRc = (rootfs.readText("/etc/rc") ?? "") !== "";
    user = userOf(Deno.uid() ?? 0, (path) => rootfs.readText(path), host["USER"] ?? "user");
    const isRoot = Deno.uid() === 0;
    addLoginEnvironment(prepared.environment, user, isRoot, (path) => rootfs.readText(path));
    environment = prepared.environment;
  }
  if (!plan.writable) remount(plan.rootfs, MS.RDONLY, 0, plan.rootfs);
  pivotRoot(plan.rootfs);
  unshareCgroup();
  become(plan, executor, environment, user, hasRc);
}

/** The command, once the container's root is the root. */
function become(
  plan: Plan,
  executor: number,
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
  // The runtime itself must not be what a container's file is executed by.
  // It also sets no_new_privs, and drops the capabilities.
  const last = plan.remapRoot ? "--exec" : "--exec-unprivileged";
  const words = ["enroot-nsenter", last, path, ...argv];
  executeSealed(executor, words, Object.fromEntries(environment));
}

function readPlan(descriptor: number): Plan {
  // Opened anew, the file is read from its beginning.
  const text = Deno.readTextFileSync(`/proc/self/fd/${descriptor}`);
  close(descriptor);
  return JSON.parse(text);
}

/**
 * What `${…}` in files of the start stands for, and hooks get: the host's variables, with those of enroot
 * as they are configured, and not as the caller's environment has them.
 */
function variablesOf(plan: Plan, host: Variables): Variables {
  const others = Object.entries(host).filter(([name]) => !name.startsWith("ENROOT_"));
  return {
    ...Object.fromEntries(others),
    ...plan.settings,
    // In the process table that hooks see, which is the host's.
    ENROOT_PID: Deno.readLinkSync("/proc/self"),
    ENROOT_ROOTFS: plan.rootfs,
  };
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

/** Starts of one container make their mount points one after the other. */
function lockRootfs(rootfs: Rootfs, plan: Plan, warn: (message: string) => void): Disposable {
  const path = `${plan.rootfs}/.lock`;
  const flags = O.RDWR | O.CREAT | O.NOFOLLOW;
  const file = openAt(AT.FDCWD, cstring(path), flags, 0o644);
  if (file < 0) {
    // A root folder on a medium that cannot be written has nothing to be made in either.
    if (file !== -E.ROFS) {
      const { message } = new SysError("open", -file, path);
      warn(`cannot take the lock ${message}: other starts of this container may be in the way`);
    }
    return { [Symbol.dispose]() {} };
  }
  lockRootfsFile(file, { path, warn });
  rootfs.with("/.lock", (path) => {
    const names = { source: "/.lock", target: "/.lock" };
    bindMount(
      { source: path, target: path },
      names,
      (made) => remount(made, MS.RDONLY, 0, "/.lock"),
    );
  });
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
  rootfs.with("/etc/rc", (path) => {
    bindMount({ source: file, target: path }, { source: file, target: "/etc/rc" });
  });
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
