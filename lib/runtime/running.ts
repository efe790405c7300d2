/**
 * Which processes run in which container: what `list --fancy` shows.
 *
 * A process is in a container when its root directory is the container's root folder, which
 * `/proc/PID/root` tells whatever namespaces lie between. Source of the fields: proc(5).
 *
 * @module
 */

/** The first process of a container's run; a container started twice has two. */
export interface RunningProcess {
  readonly pid: number;
  readonly comm: string;
  /** One letter, as in proc(5): `R`, `S`, `T` … */
  readonly state: string;
  /** When it was started, milliseconds since the epoch. */
  readonly startedAt: number;
  /** Inode of its mount namespace. */
  readonly mountNamespace: string;
  /** Inode of its user namespace. */
  readonly userNamespace: string;
  /** Its arguments, joined by spaces; its name in brackets when it has none. */
  readonly commandLine: string;
}

/** A process whose root directory is known. */
interface Candidate extends RunningProcess {
  readonly root: string;
  readonly startTicks: number;
}

// USER_HZ is 100 on every architecture this program runs on.
const ticksPerSecond = 100;

/**
 * The processes that run in containers: of each mount namespace the one that was started first.
 * Processes that the caller may not look at are passed over, and so are those that end meanwhile.
 *
 * @param roots root folders of containers, absolute
 * @returns processes by root folder, oldest first; folders without any are left out
 */
export function runningIn(roots: readonly string[]): Map<string, RunningProcess[]> {
  const byInode = new Map(
    roots.flatMap((root) => {
      const inode = inodeOf(root);
      return inode === undefined ? [] : [[inode, root] as const];
    }),
  );
  const bootTime = bootTimeMillis();
  const first = new Map<string, Candidate>();
  for (const pid of pids()) {
    const candidate = describe(pid, byInode, bootTime);
    if (candidate === undefined) continue;
    const key = `${candidate.root}\0${candidate.mountNamespace}`;
    const other = first.get(key);
    if (other === undefined || isOlder(candidate, other)) first.set(key, candidate);
  }
  const found = new Map<string, RunningProcess[]>();
  for (const candidate of [...first.values()].sort((a, b) => isOlder(a, b) ? -1 : 1)) {
    found.set(candidate.root, [...found.get(candidate.root) ?? [], candidate]);
  }
  return found;
}

/**
 * The fields of `/proc/PID/stat` that are of use here; the name may hold spaces and brackets.
 *
 * @returns `undefined` when the text is no such line
 */
export function parseStat(
  text: string,
): { comm: string; state: string; startTicks: number } | undefined {
  const match = /^\d+ \((.*)\) (.+)$/s.exec(text.trimEnd());
  const [, comm, rest] = match ?? [];
  const fields = rest?.split(" ") ?? [];
  const [state] = fields;
  // Field 22 of the line; the first after the name is field 3.
  const startTicks = Number(fields[19]);
  if (comm === undefined || state === undefined || !Number.isFinite(startTicks)) return undefined;
  return { comm, state, startTicks };
}

/** Arguments as one line; each ended in NUL, but a process may have written anything over them. */
export function parseCommandLine(text: string): string {
  return text.split(/[\0\n]/).map((word) => word.trim()).join(" ").trimEnd();
}

function describe(
  pid: number,
  roots: ReadonlyMap<string, string>,
  bootTime: number,
): Candidate | undefined {
  try {
    const inode = inodeOf(`/proc/${pid}/root/`);
    const root = inode === undefined ? undefined : roots.get(inode);
    if (root === undefined) return undefined;
    const stat = parseStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
    if (stat === undefined || isSupport(pid, stat.comm)) return undefined;
    const commandLine = parseCommandLine(Deno.readTextFileSync(`/proc/${pid}/cmdline`));
    return {
      pid,
      root,
      ...stat,
      startedAt: bootTime + stat.startTicks * 1000 / ticksPerSecond,
      mountNamespace: namespaceOf(pid, "mnt"),
      userNamespace: namespaceOf(pid, "user"),
      commandLine: commandLine === "" ? `[${stat.comm}]` : commandLine,
    };
  } catch {
    return undefined;
  }
}

/**
 * Whether a process is one of the two that come with a process namespace (helper/supervise.c): the first
 * one in it, and the one outside that waits for the command.
 */
function isSupport(pid: number, comm: string): boolean {
  if (namespaceOf(pid, "pid") !== namespaceOf(pid, "pid_for_children")) return true;
  return comm === "enroot-init" && isFirstOfNamespace(Deno.readTextFileSync(`/proc/${pid}/status`));
}

/**
 * Whether a process is the first one of the process namespace it is in: no other can make itself one.
 *
 * @param status its `status`. Source: proc_pid_status(5)
 */
export function isFirstOfNamespace(status: string): boolean {
  return /^NSpid:(?:\t\d+)*\t1$/m.test(status);
}

function isOlder(a: Candidate, b: Candidate): boolean {
  return a.startTicks !== b.startTicks ? a.startTicks < b.startTicks : a.pid < b.pid;
}

function namespaceOf(pid: number, kind: string): string {
  return Deno.readLinkSync(`/proc/${pid}/ns/${kind}`).replaceAll(/\D/g, "");
}

function pids(): number[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) =>
    /^[0-9]+$/.test(name) ? [Number(name)] : []
  );
}

function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function bootTimeMillis(): number {
  const [, seconds] = /^btime (\d+)$/m.exec(Deno.readTextFileSync("/proc/stat")) ?? [];
  return Number(seconds ?? 0) * 1000;
}
