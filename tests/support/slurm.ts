/**
 * A real Slurm of one node: Debian's munged, slurmctld and slurmd, for the jobs of one user.
 *
 * The node is a set of namespaces: it has its own name, its own processes, and an entry for the user in
 * passwd. So a job finds who it is, and whatever the jobs leave ends with the node. The network is the
 * machine's loopback, where a test's registry is too. It needs root.
 *
 * @module
 */

import { attempt, end, type Result, run, spawn } from "./command.ts";

/** A node at work. Disposing of it ends every process in it and removes its folder. */
export interface Slurm extends AsyncDisposable {
  /** Run a program in the node as the user to its end: `srun`, `sbatch`, `scancel`. */
  run(argv: readonly string[], options?: JobOptions): Promise<Result>;
  /** Start a program in the node as the user. */
  start(argv: readonly string[], options?: JobOptions): Deno.ChildProcess;
  /** The user's processes in the node, by name, without those that are dead. */
  processes(): Promise<string[]>;
  /** What is mounted in the node: lines of mountinfo. */
  mounts(): Promise<string[]>;
}

/** What a program in the node is given; the environment is all it gets besides PATH and SLURM_CONF. */
export interface JobOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How long each daemon may take to come up, in milliseconds. */
const patience = 60_000;
/** How long a program in the node may take, in seconds; then it is ended with an exit code of 124. */
const limit = 300;

/** The user's name in the node. */
const jobUser = "zenroot-job";

/**
 * Start a node for a user, who need not be known to this machine. It runs four jobs at a time, on
 * however many processors.
 *
 * @throws {Error} with what the daemons said when one does not come up
 */
export async function startSlurm(uid: number): Promise<Slurm> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-slurm-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const conf = await writeFiles(folder, uid);
  const node = stack.use(new Node(folder));
  await node.comesUp("the node", () => Promise.resolve(node.said.includes("ready\n")));

  node.daemon([
    ...["munged", "--foreground", "--origin=127.0.0.1", `--key-file=${folder}/munge.key`],
    ...[`--socket=${folder}/munge.socket`, `--pid-file=${folder}/munged.pid`],
    `--seed-file=${folder}/munged.seed`,
  ]);
  await node.comesUp("munged", () => exists(`${folder}/munge.socket`));
  const env = { PATH: "/usr/bin:/bin", SLURM_CONF: conf };
  const says = async (argv: readonly string[], text: string): Promise<boolean> =>
    (await attempt(node.enter(argv), { env, clearEnv: true })).stdout.includes(text);
  node.daemon(["slurmctld", "-D", "-f", conf]);
  await node.comesUp("slurmctld", () => says(["scontrol", "ping"], "is UP"));
  node.daemon(["slurmd", "-D", "-f", conf]);
  await node.comesUp("slurmd", () => says(["sinfo", "-h", "-o", "%T"], "idle"));

  const become = [
    ...["setpriv", "--reuid", `${uid}`, "--regid", `${uid}`, "--clear-groups", "--"],
    ...["timeout", "--kill-after=5", `${limit}`],
  ];
  const complete = (argv: readonly string[], options: JobOptions) =>
    [
      node.enter([...become, ...argv], options.cwd),
      { env: { ...env, ...options.env }, clearEnv: true },
    ] as const;
  const kept = stack.move();
  return {
    run: (argv, options = {}) => attempt(...complete(argv, options)),
    start: (argv, options = {}) => spawn(...complete(argv, options)),
    async processes() {
      const rows = (await run(node.enter(["ps", "-e", "-o", "uid=,stat=,comm="]))).trim().split(
        "\n",
      );
      const words = rows.map((row) => row.trim().split(/ +/));
      return words.filter(([owner, state = ""]) => owner === `${uid}` && !state.startsWith("Z"))
        .map(([, , ...name]) => name.join(" "));
    },
    async mounts() {
      return (await run(node.enter(["cat", "/proc/self/mountinfo"]))).trim().split("\n");
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The namespaces and what runs in them. */
class Node implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[] = [];
  readonly #readers: Promise<void>[] = [];
  readonly #holder: Deno.ChildProcess;
  #ended: string | undefined;
  /** What all of them printed, the end of it. */
  said = "";

  constructor(folder: string) {
    // The first process outlives the daemons, and the kernel buries what is left to it.
    const script = 'mount --bind "$1/passwd" /etc/passwd; mount --bind "$1/group" /etc/group; ' +
      "echo node > /proc/sys/kernel/hostname; echo ready; " +
      "exec env --ignore-signal=CHLD sleep infinity";
    this.#holder = this.#start([
      ...["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private"],
      ...["--uts", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["sh", "-euc", script, "sh", folder],
    ]);
  }

  /** The command line that runs another one in the node, as root. */
  enter(argv: readonly string[], cwd = "/"): string[] {
    const proc = `/proc/${this.#holder.pid}/ns`;
    return [
      ...["nsenter", `--mount=${proc}/mnt`, `--uts=${proc}/uts`, `--pid=${proc}/pid_for_children`],
      ...["--", "env", `--chdir=${cwd}`, ...argv],
    ];
  }

  /** Start a program in the node that lasts. */
  daemon(argv: readonly string[]): void {
    this.#start(this.enter(argv));
  }

  /** Wait until something holds. @throws {Error} after a while, and when anything has ended */
  async comesUp(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + patience; !await holds();) {
      if (this.#ended !== undefined || Date.now() > deadline) {
        const why = this.#ended === undefined ? "" : ` (${this.#ended})`;
        throw new Error(`${what} did not come up${why}:\n${this.said.trim()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With the first of its processes the kernel kills all others of the node.
    end(this.#holder, "SIGKILL");
    await Promise.all(this.#children.map(({ status }) => status));
    await Promise.all(this.#readers);
  }

  #start(argv: readonly string[]): Deno.ChildProcess {
    // The test may be a job itself, of a Slurm that has nothing to do with this one.
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    const process = spawn(argv, { stdin: "null", env, clearEnv: true });
    this.#children.push(process);
    process.status.then(({ code }) => this.#ended ??= `${argv.slice(-4).join(" ")}: ${code}`);
    for (const stream of [process.stdout, process.stderr]) this.#readers.push(this.#read(stream));
    return process;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.said = `${this.said}${text}`.slice(-10_000);
    }
  }
}

/** Write the node's files. @returns the path of slurm.conf */
async function writeFiles(folder: string, uid: number): Promise<string> {
  await Deno.chmod(folder, 0o755);
  for (const name of ["state", "spool"]) await Deno.mkdir(`${folder}/${name}`);
  await Deno.writeFile(`${folder}/munge.key`, crypto.getRandomValues(new Uint8Array(1024)), {
    mode: 0o400,
  });
  const passwd = await Deno.readTextFile("/etc/passwd");
  const group = await Deno.readTextFile("/etc/group");
  const home = "/nonexistent";
  await Deno.writeTextFile(
    `${folder}/passwd`,
    `${jobUser}:x:${uid}:${uid}::${home}:/bin/sh\n${passwd}`,
  );
  await Deno.writeTextFile(`${folder}/group`, `${jobUser}:x:${uid}:\n${group}`);
  // Nothing uses it, but slurmd loads one of its plugins: this one asks nothing of the machine.
  await Deno.writeTextFile(`${folder}/cgroup.conf`, "CgroupPlugin=cgroup/v1\n");
  const conf = `${folder}/slurm.conf`;
  await Deno.writeTextFile(conf, slurmConf(folder));
  return conf;
}

/** No control groups, no accounting, nothing of the machine's own configuration. */
function slurmConf(folder: string): string {
  const [controller, daemon] = freePorts(2);
  return `\
ClusterName=zenroot
SlurmctldHost=node(127.0.0.1)
SlurmctldPort=${controller}
SlurmdPort=${daemon}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmdParameters=config_overrides
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
NodeName=node NodeAddr=127.0.0.1 CPUs=4 RealMemory=100 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}

function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}
