/**
 * Joining a container that runs: what `exec` does.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import type { CallerState } from "../process/caller.ts";
import { AT, close, O, openAt } from "../sys/at.ts";
import { closeOnExec, keepOnExec, restoreCallerState } from "../sys/exec.ts";
import { cstring } from "../sys/libc.ts";
import { executeSealed, sealProgram } from "../sys/sealed_program.ts";
import { addEnvironmentOption } from "./environ.ts";
import { isFirstOfNamespace } from "./running.ts";

/** Whom to join, and what to run there. */
export interface JoinRequest {
  /** A process of the container. */
  readonly pid: number;
  /** A program, which is looked for in the container's PATH, and its arguments. */
  readonly command: readonly string[];
  /** The `--env` options. */
  readonly environmentOptions: readonly string[];
  /** The caller's environment: where `--env NAME` takes its value from. */
  readonly host: Readonly<Record<string, string>>;
  /** Where `enroot-nsenter` is. */
  readonly helper: string;
  readonly caller: CallerState;
}

/**
 * Become a command in the namespaces of a process, with its environment, root, working directory and
 * limits of privilege.
 *
 * Everything about the process is read through its folder in `/proc`, opened once: a new process with the
 * number of one that has ended is none of it.
 *
 * @throws {EnrootError} code `no-process`, `not-yours`, `not-a-container` or `not-started`; otherwise it
 * never returns
 */
export function join(request: JoinRequest): never {
  const { command, helper, caller } = request;
  let process = openProcess(request.pid);
  checkOwner(process);
  const child = commandOf(process);
  if (child !== undefined) {
    const parent = process;
    process = openProcess(child);
    checkOwner(process);
    // Its number may have become that of another one before it was opened.
    if (fieldOf(process, "PPid") !== String(parent.pid)) throw ended(parent.pid);
  }
  checkContainer(process);
  const environment = environmentOf(process);
  for (const option of request.environmentOptions) {
    addEnvironmentOption(environment, option, request.host);
  }
  const kinds = ["user", "mount", "net", "ipc", "uts", "cgroup", "pid"].map((kind) => `--${kind}`);
  keepOnExec(process.folder);
  for (const descriptor of caller.programs.values()) closeOnExec(descriptor);
  restoreCallerState(caller.ignoredSignals, caller.softNofile);
  executeSealed(
    sealProgram(helper),
    [helper, "--process", String(process.folder), "--like-target", ...kinds, "--", ...command],
    Object.fromEntries(environment),
  );
}

/** A process by its folder in `/proc`. */
interface Process {
  readonly pid: number;
  readonly folder: number;
}

function openProcess(pid: number): Process {
  const folder = openAt(AT.FDCWD, cstring(`/proc/${pid}`), O.PATH | O.DIRECTORY);
  if (folder < 0) throw ended(pid);
  return { pid, folder };
}

function pathIn({ folder }: Process, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}

/**
 * Its files cannot be read by others, but the namespaces could be joined by root: then a process of his
 * would be at the mercy of the container's owner.
 */
function checkOwner(process: Process): void {
  const status = read(process, "status");
  const [, ...ids] = /^Uid:\t(\d+)\t(\d+)\t(\d+)/m.exec(status) ?? [];
  if (ids.length === 3 && ids.every((id) => Number(id) === Deno.uid())) return;
  throw new EnrootError(
    "not-yours",
    `process ${process.pid} is not yours: only its user can run something in its container`,
  );
}

/**
 * What `start --pid` leaves behind waits for the command, its child in the process namespace.
 *
 * @returns the PID of the command, `undefined` when the process is not such a one
 */
function commandOf(process: Process): number | undefined {
  if (namespace(process, "pid") === namespace(process, "pid_for_children")) return undefined;
  const children = read(process, `task/${process.pid}/children`).trim().split(" ");
  for (const pid of children.filter((each) => each !== "").map(Number)) {
    try {
      if (!isFirstOfNamespace(Deno.readTextFileSync(`/proc/${pid}/status`))) return pid;
    } catch {
      // It has just ended.
    }
  }
  throw ended(process.pid);
}

/** A field of its `status`. Source: proc_pid_status(5). */
function fieldOf(process: Process, name: string): string | undefined {
  return new RegExp(`^${name}:\\t(.*)$`, "m").exec(read(process, "status"))?.[1];
}

function checkContainer(process: Process): void {
  const own = Deno.readLinkSync("/proc/self/ns/mnt");
  if (namespace(process, "mnt") !== own) return;
  throw new EnrootError(
    "not-a-container",
    `process ${process.pid} runs in no container: 'enroot list --fancy' shows those that do`,
  );
}

/** @throws {EnrootError} code `not-started` while it is the program itself */
function environmentOf(process: Process): Map<string, string> {
  const environment = new Map<string, string>();
  for (const setting of read(process, "environ").split("\0")) {
    const at = setting.indexOf("=");
    if (at > 0) environment.set(setting.slice(0, at), setting.slice(at + 1));
  }
  if (!environment.has("ENROOT_CALLER_STATE")) return environment;
  throw new EnrootError(
    "not-started",
    `the container of process ${process.pid} is still being started: try again`,
  );
}

function namespace(process: Process, kind: string): string {
  try {
    return Deno.readLinkSync(pathIn(process, `ns/${kind}`));
  } catch (error) {
    throw cannotLook(process, error);
  }
}

function read(process: Process, name: string): string {
  try {
    return Deno.readTextFileSync(pathIn(process, name));
  } catch (error) {
    throw cannotLook(process, error);
  }
}

function cannotLook({ pid, folder }: Process, error: unknown): EnrootError {
  try {
    Deno.statSync(`/proc/self/fd/${folder}/stat`);
  } catch {
    close(folder);
    return ended(pid);
  }
  const why = error instanceof Deno.errors.PermissionDenied ? "permission denied" : reasonOf(error);
  return new EnrootError("not-yours", `process ${pid} cannot be looked into: ${why}`, {
    cause: error,
  });
}

function ended(pid: number): EnrootError {
  return new EnrootError("no-process", `there is no process ${pid}: maybe it has ended`);
}
